//! A pickle reader that runs nothing.
//!
//! Pickle is a program for a stack machine whose `GLOBAL` and `REDUCE` call any Python function. Here only the
//! instructions that build lists, tuples, numbers, strings and byte strings are known, and of the functions only those
//! that numpy arrays and `bytes` need; each one is a piece of Rust below, and any other is refused by name. Values live
//! in one table and refer to each other by number, so nothing recurses and cycles do no harm.

use std::collections::HashMap;
use std::ops::Range;

/// Most values, stack entries and instructions: a verification set of 14,000 images needs some 200,000.
const LIMIT: usize = 4_000_000;

/// A value's number in the table.
pub(super) type Ref = u32;

/// What a pickle can hold here.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A byte string or text, within the pickle.
    Bytes(Range<usize>),
    /// Bytes that had to be made: text encoded as Latin-1.
    Made(Vec<u8>),
    List(Vec<Ref>),
    Tuple(Vec<Ref>),
    Function(Function),
    Dtype(Dtype),
    /// An array's bytes, and of what.
    Array(Ref, Dtype),
    /// An array whose content comes later.
    Empty,
}

/// The functions that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Encode,
    Reconstruct,
    FromBuffer,
    Scalar,
    Ndarray,
    Dtype,
}

/// The element types of arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dtype {
    U8,
    Bool,
}

impl Function {
    fn find(module: &str, name: &str) -> Result<Self, String> {
        let core = module
            .strip_prefix("numpy.core")
            .or_else(|| module.strip_prefix("numpy._core"));
        match (module, core, name) {
            ("_codecs", _, "encode") => Ok(Function::Encode),
            (_, Some(".multiarray"), "_reconstruct") => Ok(Function::Reconstruct),
            (_, Some(".multiarray"), "scalar") => Ok(Function::Scalar),
            (_, Some(".numeric"), "_frombuffer") => Ok(Function::FromBuffer),
            ("numpy", _, "ndarray") => Ok(Function::Ndarray),
            ("numpy", _, "dtype") => Ok(Function::Dtype),
            _ => Err(format!(
                "the pickle asks to call '{}.{}', which no image set needs; it is refused and nothing was run: do not trust this file",
                clean(module),
                clean(name)
            )),
        }
    }
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .take(100)
        .collect()
}

/// A pickle's values; the last line of [`load`] says which one it stands for.
#[derive(Debug)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
}

impl Table<'_> {
    pub(super) fn get(&self, at: Ref) -> &Value {
        self.values.get(at as usize).unwrap_or(&Value::None)
    }

    /// The content of a byte string, a text or an array, and where it lies.
    pub(super) fn content(&self, at: Ref) -> Option<Content<'_>> {
        // An array's content is a byte string, never an array again.
        let at = match self.get(at) {
            Value::Array(content, _) => *content,
            _ => at,
        };
        match self.get(at) {
            Value::Bytes(range) => Some(Content::Within(range.clone())),
            Value::Made(bytes) => Some(Content::Made(bytes)),
            _ => None,
        }
    }

    /// The bytes of a byte string, a text or an array.
    pub(super) fn bytes(&self, at: Ref) -> Option<&[u8]> {
        match self.content(at)? {
            Content::Within(range) => self.bytes.get(range),
            Content::Made(bytes) => Some(bytes),
        }
    }

    /// The items of a short tuple.
    fn few(&self, at: Ref) -> Option<Vec<Ref>> {
        match self.get(at) {
            Value::Tuple(items) if items.len() <= 8 => Some(items.clone()),
            _ => None,
        }
    }
}

/// Where bytes lie.
pub(super) enum Content<'a> {
    /// In the pickle itself.
    Within(Range<usize>),
    /// In the table.
    Made(&'a [u8]),
}

/// Runs the pickle and gives its value.
///
/// On an error the second value is the place in the pickle.
pub(super) fn load(bytes: &[u8]) -> Result<(Table<'_>, Ref), (String, usize)> {
    let mut machine = Machine {
        table: Table {
            bytes,
            values: Vec::new(),
        },
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        made: 0,
    };
    for _ in 0..LIMIT {
        let at = machine.at;
        match machine.step() {
            Ok(Some(value)) => return Ok((machine.table, value)),
            Ok(None) => {}
            Err(reason) => return Err((reason, at)),
        }
    }
    Err((too_large(), machine.at))
}

fn too_large() -> String {
    format!("the pickle has more than {LIMIT} values; no image set is that large")
}

struct Machine<'a> {
    table: Table<'a>,
    at: usize,
    stack: Vec<Ref>,
    marks: Vec<usize>,
    memo: HashMap<u32, Ref>,
    made: usize,
}

type Step<T> = Result<T, String>;

impl Machine<'_> {
    fn take(&mut self, n: usize) -> Step<Range<usize>> {
        let end = self
            .at
            .checked_add(n)
            .filter(|end| *end <= self.table.bytes.len());
        let end = end.ok_or("the pickle ends in the middle; the file is cut short: restore it")?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    /// A little-endian number of `n ≤ 8` bytes.
    fn number(&mut self, n: usize) -> Step<u64> {
        let range = self.take(n)?;
        Ok(self.table.bytes[range]
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn sized(&mut self, n: usize) -> Step<Value> {
        let length = usize::try_from(self.number(n)?).map_err(|e| e.to_string())?;
        self.take(length).map(Value::Bytes)
    }

    fn line(&mut self) -> Step<&str> {
        let rest = &self.table.bytes[self.at..];
        let n = rest
            .iter()
            .take(4096)
            .position(|b| *b == b'\n')
            .ok_or("a line without an end")?;
        let range = self.take(n + 1)?;
        let text =
            std::str::from_utf8(&self.table.bytes[range]).map_err(|_| "a line that is no text")?;
        Ok(text.trim_end())
    }

    fn make(&mut self, value: Value) -> Step<Ref> {
        if self.table.values.len() >= LIMIT {
            return Err(too_large());
        }
        self.table.values.push(value);
        Ok((self.table.values.len() - 1) as Ref)
    }

    fn push(&mut self, value: Value) -> Step<()> {
        let at = self.make(value)?;
        self.stack.push(at);
        Ok(())
    }

    fn pop(&mut self) -> Step<Ref> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the pickle takes a value that is not there".into());
        }
        self.stack
            .pop()
            .ok_or_else(|| "the pickle takes a value that is not there".into())
    }

    fn top(&self) -> Step<Ref> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| "the pickle looks at a value that is not there".into())
    }

    fn since_mark(&mut self) -> Step<Vec<Ref>> {
        let mark = self
            .marks
            .pop()
            .ok_or("the pickle closes what it never opened")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn last(&mut self, n: usize) -> Step<Vec<Ref>> {
        let mut items = (0..n).map(|_| self.pop()).collect::<Step<Vec<_>>>()?;
        items.reverse();
        Ok(items)
    }

    fn extend(&mut self, items: Vec<Ref>) -> Step<()> {
        let list = self.top()?;
        match self.table.values.get_mut(list as usize) {
            Some(Value::List(values)) => {
                values.extend(items);
                Ok(())
            }
            _ => Err("the pickle appends to something that is no list".into()),
        }
    }

    fn remember(&mut self, key: u32) -> Step<()> {
        let value = self.top()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Step<()> {
        let value = *self
            .memo
            .get(&key)
            .ok_or("the pickle recalls what it never stored")?;
        self.stack.push(value);
        Ok(())
    }

    fn text(&self, at: Ref) -> Step<&str> {
        let bytes = self.table.bytes(at).ok_or("a name that is no text")?;
        std::str::from_utf8(bytes).map_err(|_| "a name that is no text".into())
    }

    /// One instruction; the value where it is the last one.
    fn step(&mut self) -> Step<Option<Ref>> {
        let code = self.number(1)? as u8;
        match code {
            // PROTO, FRAME
            0x80 => {
                self.take(1)?;
            }
            0x95 => {
                self.take(8)?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'N' => self.push(Value::None)?,
            0x88 | 0x89 => self.push(Value::Bool(code == 0x88))?,
            b'I' | b'L' => {
                let value = match self.line()? {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    line => Value::Int(
                        line.trim_end_matches('L')
                            .parse()
                            .map_err(|_| "a damaged number")?,
                    ),
                };
                self.push(value)?;
            }
            b'J' => {
                let value = self.number(4)? as u32 as i32;
                self.push(Value::Int(value.into()))?;
            }
            b'K' | b'M' => {
                let value = self.number(if code == b'K' { 1 } else { 2 })?;
                self.push(Value::Int(value as i64))?;
            }
            0x8a => {
                let n = self.number(1)? as usize;
                if n > 8 {
                    return Err("a number of more than 8 bytes".into());
                }
                let bits = self.number(n)?;
                let unused = 64 - 8 * n as u32;
                // Two's complement of n bytes.
                let value = if n == 0 {
                    0
                } else {
                    (bits << unused) as i64 >> unused
                };
                self.push(Value::Int(value))?;
            }
            // Byte strings and texts with a length of 1, 4 or 8 bytes.
            b'U' | b'C' | 0x8c => {
                let value = self.sized(1)?;
                self.push(value)?;
            }
            b'T' | b'B' | b'X' => {
                let value = self.sized(4)?;
                self.push(value)?;
            }
            0x8d | 0x8e | 0x96 => {
                let value = self.sized(8)?;
                self.push(value)?;
            }
            b']' => self.push(Value::List(Vec::new()))?,
            b')' => self.push(Value::Tuple(Vec::new()))?,
            b'l' => {
                let items = self.since_mark()?;
                self.push(Value::List(items))?;
            }
            b't' => {
                let items = self.since_mark()?;
                self.push(Value::Tuple(items))?;
            }
            0x85..=0x87 => {
                let items = self.last(usize::from(code - 0x84))?;
                self.push(Value::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.extend(items)?;
            }
            b'p' | b'g' => {
                let key = self.line()?.parse().map_err(|_| "a damaged memo number")?;
                if code == b'p' {
                    self.remember(key)?;
                } else {
                    self.recall(key)?;
                }
            }
            b'q' | b'r' => {
                let key = self.number(if code == b'q' { 1 } else { 4 })? as u32;
                self.remember(key)?;
            }
            b'h' | b'j' => {
                let key = self.number(if code == b'h' { 1 } else { 4 })? as u32;
                self.recall(key)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'c' => {
                let module = self.line()?.to_string();
                let function = Function::find(&module, self.line()?)?;
                self.push(Value::Function(function))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let function = Function::find(self.text(module)?, self.text(name)?)?;
                self.push(Value::Function(function))?;
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            other => {
                return Err(format!(
                    "the pickle holds the instruction 0x{other:02x}, which no image set needs; it is refused"
                ));
            }
        }
        Ok(None)
    }

    /// Calls one of the known functions.
    fn reduce(&mut self) -> Step<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Function(function) = *self.table.get(function) else {
            return Err("the pickle calls something that is no function".into());
        };
        let arguments = self
            .table
            .few(arguments)
            .ok_or("a call without a tuple of a few arguments")?;
        let argument = |i: usize| {
            arguments
                .get(i)
                .copied()
                .ok_or("a call with too few arguments")
        };
        let value = match function {
            Function::Encode => {
                let text = self.text(argument(0)?)?;
                let encoding = self.text(argument(1)?)?;
                if !matches!(encoding, "latin1" | "latin-1") {
                    return Err(format!(
                        "bytes in the encoding '{}'; only latin1 occurs",
                        clean(encoding)
                    ));
                }
                let latin: Option<Vec<u8>> = text
                    .chars()
                    .map(|c| u8::try_from(u32::from(c)).ok())
                    .collect();
                let latin = latin.ok_or("bytes that are no latin1")?;
                self.made += latin.len();
                if self.made > self.table.bytes.len() {
                    return Err(
                        "the pickle unpacks to more than its own size; it is refused".into(),
                    );
                }
                Value::Made(latin)
            }
            Function::Reconstruct => Value::Empty,
            Function::FromBuffer => self.array(argument(0)?, argument(1)?)?,
            Function::Scalar => {
                let (dtype, content) = (argument(0)?, argument(1)?);
                match (self.table.get(dtype), self.table.bytes(content)) {
                    (Value::Dtype(Dtype::Bool), Some([byte])) => Value::Bool(*byte != 0),
                    (Value::Dtype(Dtype::U8), Some([byte])) => Value::Int((*byte).into()),
                    _ => return Err("a numpy number that is neither bool nor uint8".into()),
                }
            }
            Function::Dtype => match self.text(argument(0)?)? {
                "u1" | "|u1" | "uint8" => Value::Dtype(Dtype::U8),
                "b1" | "|b1" | "?" | "bool" => Value::Dtype(Dtype::Bool),
                other => {
                    return Err(format!(
                        "a numpy array of '{}'; images are uint8, answers bool",
                        clean(other)
                    ));
                }
            },
            Function::Ndarray => return Err("a bare numpy array without its content".into()),
        };
        self.push(value)
    }

    /// Gives an object its state: an array its content, a dtype nothing that matters.
    fn build(&mut self) -> Step<()> {
        let state = self.pop()?;
        let object = self.top()?;
        match self.table.get(object) {
            Value::Dtype(_) => Ok(()),
            Value::Empty => {
                let state = self
                    .table
                    .few(state)
                    .ok_or("a numpy array with a damaged state")?;
                // (version, shape, dtype, Fortran order, content)
                let [_, _, dtype, _, content] = state[..] else {
                    return Err("a numpy array with a damaged state".into());
                };
                let array = self.array(content, dtype)?;
                self.table.values[object as usize] = array;
                Ok(())
            }
            _ => Err("the pickle gives a state to something that has none".into()),
        }
    }

    fn array(&self, content: Ref, dtype: Ref) -> Step<Value> {
        let Value::Dtype(dtype) = *self.table.get(dtype) else {
            return Err("a numpy array without a type".into());
        };
        match self.table.get(content) {
            Value::Bytes(_) | Value::Made(_) => Ok(Value::Array(content, dtype)),
            _ => Err("a numpy array without bytes".into()),
        }
    }
}
