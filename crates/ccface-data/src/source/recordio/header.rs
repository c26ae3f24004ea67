//! The header inside a record: flag, label, key.

/// What a record's payload says before its image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) flag: u32,
    pub(super) label: f32,
    pub(super) id: u64,
    /// Bytes before the image.
    pub(super) len: usize,
}

pub(super) const FIXED: usize = 24;

/// Files with this many labels hold an embedding of 512 numbers and then the class.
const EMBEDDED: u32 = 513;

impl Header {
    /// Reads the header; of several labels the one that names the identity, without the others.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, String> {
        let mut header = Self::fixed(payload)?;
        if header.flag > 0 {
            let at = header.label_at();
            header.label = payload
                .get(..header.len)
                .and_then(|head| f32_at(head, at))
                .ok_or_else(|| header.too_many(payload.len()))?;
        }
        Ok(header)
    }

    /// Reads the fixed 24 bytes; `label` holds the identity only where `flag` is 0.
    pub(super) fn fixed(payload: &[u8]) -> Result<Self, String> {
        let short = || format!("{} bytes hold no record header of {FIXED}", payload.len());
        let flag = u32_at(payload, 0).ok_or_else(short)?;
        let label = f32_at(payload, 4).ok_or_else(short)?;
        let id = u64::from(u32_at(payload, 8).ok_or_else(short)?)
            | u64::from(u32_at(payload, 12).ok_or_else(short)?) << 32;
        if payload.len() < FIXED {
            return Err(short());
        }
        let len = FIXED.saturating_add((flag as usize).saturating_mul(4));
        Ok(Self {
            flag,
            label,
            id,
            len,
        })
    }

    /// Where the identity's label lies in the payload.
    pub(super) fn label_at(&self) -> usize {
        match self.flag {
            0 => 4,
            EMBEDDED => FIXED + 4 * (EMBEDDED as usize - 1),
            _ => FIXED,
        }
    }

    pub(super) fn too_many(&self, bytes: usize) -> String {
        format!("a record of {bytes} bytes claims {} labels", self.flag)
    }
}

/// The first two labels of a payload whose flag is 2: a range.
pub(super) fn range(payload: &[u8]) -> Option<(f32, f32)> {
    let header = Header::fixed(payload).ok()?;
    (header.flag == 2).then_some(())?;
    Some((f32_at(payload, FIXED)?, f32_at(payload, FIXED + 4)?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map(u32::from_le_bytes)
}

pub(super) fn f32_at(bytes: &[u8], at: usize) -> Option<f32> {
    u32_at(bytes, at).map(f32::from_bits)
}

/// A label as a class number.
pub(super) fn class(label: f32) -> Result<u32, String> {
    // Every whole number below 2^24 is exact in f32.
    if (0.0..16_777_216.0).contains(&label) && label.fract() == 0.0 {
        Ok(label as u32)
    } else {
        Err("a label is a whole number from 0 to 16777215".to_string())
    }
}
