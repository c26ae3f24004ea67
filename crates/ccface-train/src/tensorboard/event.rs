//! The messages of an event file, as far as this project writes them.
//!
//! Source: verbatim, field numbers of TensorFlow's `event.proto`, `summary.proto` and `tensor.proto`.

use prost::{Message, Oneof};

/// Type number of strings in a tensor.
const STRING: i32 = 7;

/// `tensorflow.Event`: one record of an event file.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// Optimiser step.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// What the event says.
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub what: Option<What>,
}

/// What an event says.
#[derive(Clone, PartialEq, Oneof)]
pub enum What {
    /// The first event of a file.
    #[prost(string, tag = "3")]
    FileVersion(String),
    /// Values.
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// A (re)start of the run.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// `tensorflow.SessionLog`.
#[derive(Clone, PartialEq, Message)]
pub struct SessionLog {
    /// 1: the run starts here; what an earlier start wrote for this and later steps is void.
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// Named values.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Name; TensorBoard groups by what stands before the slash.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// What is shown beside the value, and by which part of TensorBoard.
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<Metadata>,
    /// The value.
    #[prost(oneof = "Content", tags = "2, 4, 5, 8")]
    pub content: Option<Content>,
}

/// A value of a summary.
#[derive(Clone, PartialEq, Oneof)]
pub enum Content {
    /// A number.
    #[prost(float, tag = "2")]
    Scalar(f32),
    /// A picture.
    #[prost(message, tag = "4")]
    Image(Image),
    /// A distribution.
    #[prost(message, tag = "5")]
    Histogram(Histogram),
    /// A tensor; here a text.
    #[prost(message, tag = "8")]
    Tensor(Tensor),
}

/// `tensorflow.Summary.Image`.
#[derive(Clone, PartialEq, Message)]
pub struct Image {
    /// Pixels.
    #[prost(int32, tag = "1")]
    pub height: i32,
    /// Pixels.
    #[prost(int32, tag = "2")]
    pub width: i32,
    /// Channels: 3 for RGB.
    #[prost(int32, tag = "3")]
    pub colorspace: i32,
    /// The bytes of a PNG file.
    #[prost(bytes = "vec", tag = "4")]
    pub encoded: Vec<u8>,
}

/// `tensorflow.HistogramProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// Least value.
    #[prost(double, tag = "1")]
    pub min: f64,
    /// Greatest value.
    #[prost(double, tag = "2")]
    pub max: f64,
    /// Number of values.
    #[prost(double, tag = "3")]
    pub num: f64,
    /// Their sum.
    #[prost(double, tag = "4")]
    pub sum: f64,
    /// The sum of their squares.
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    /// Upper ends of the bins.
    #[prost(double, repeated, tag = "6")]
    pub bucket_limit: Vec<f64>,
    /// Values in the bins.
    #[prost(double, repeated, tag = "7")]
    pub bucket: Vec<f64>,
}

/// `tensorflow.TensorProto`, for strings.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// Type of the elements.
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    /// Its shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
    /// Its strings.
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub strings: Vec<Vec<u8>>,
}

/// `tensorflow.TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    /// Its dimensions.
    #[prost(message, repeated, tag = "2")]
    pub dims: Vec<Dimension>,
}

/// `tensorflow.TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// Elements along it.
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// `tensorflow.SummaryMetadata`.
#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    /// Which part of TensorBoard shows the value.
    #[prost(message, optional, tag = "1")]
    pub plugin: Option<Plugin>,
}

/// `tensorflow.SummaryMetadata.PluginData`.
#[derive(Clone, PartialEq, Message)]
pub struct Plugin {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
}

impl Value {
    /// A number.
    pub fn scalar(tag: impl Into<String>, value: f64) -> Self {
        Self::plain(tag, Content::Scalar(value as f32))
    }

    /// A picture from the bytes of a PNG file.
    pub fn png(tag: impl Into<String>, width: usize, height: usize, encoded: Vec<u8>) -> Self {
        let pixels = |side: usize| i32::try_from(side).unwrap_or(i32::MAX);
        let image = Image {
            height: pixels(height),
            width: pixels(width),
            colorspace: 3,
            encoded,
        };
        Self::plain(tag, Content::Image(image))
    }

    /// A distribution.
    pub fn histogram(tag: impl Into<String>, histogram: Histogram) -> Self {
        Self::plain(tag, Content::Histogram(histogram))
    }

    /// A text, read as Markdown.
    pub fn text(tag: impl Into<String>, text: &str) -> Self {
        let tensor = Tensor {
            dtype: STRING,
            shape: Some(Shape {
                dims: vec![Dimension { size: 1 }],
            }),
            strings: vec![text.as_bytes().to_vec()],
        };
        Self {
            metadata: Some(Metadata {
                plugin: Some(Plugin {
                    name: "text".into(),
                }),
            }),
            ..Self::plain(tag, Content::Tensor(tensor))
        }
    }

    fn plain(tag: impl Into<String>, content: Content) -> Self {
        Self {
            tag: tag.into(),
            metadata: None,
            content: Some(content),
        }
    }
}
