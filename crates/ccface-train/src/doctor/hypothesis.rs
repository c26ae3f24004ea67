//! Ways to present a face to a network.

use ccface_data::{FaceImage, degrade::fit};
use ccface_model::{Colour, InputSpec};

use super::colour_name;

/// Scales that networks are trained with: name, mean and divisor of a 0..255 channel.
const SCALES: [(&str, [f32; 3], [f32; 3]); 5] = [
    ("(x − 127.5)/127.5", [127.5; 3], [127.5; 3]),
    ("(x − 127.5)/128", [127.5; 3], [128.0; 3]),
    ("x/255", [0.0; 3], [255.0; 3]),
    ("0..255 as they are", [0.0; 3], [1.0; 3]),
    (
        "ImageNet's mean and deviation",
        [123.675, 116.28, 103.53],
        [58.395, 57.12, 57.375],
    ),
];

/// One way to present faces.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hypothesis {
    pub(super) input: InputSpec,
    pub(super) mirrored: bool,
    pub(super) upside_down: bool,
    /// Shift right and down, in hundredths of the side.
    pub(super) shift: [i32; 2],
    /// Side of the crop in hundredths of the picture's.
    pub(super) crop: u32,
}

/// What is varied, all else being as found so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Colour order.
    Colour,
    /// Mean and divisor.
    Scale,
    /// Mirrored or upside down.
    Flip,
    /// Where the face lies.
    Shift,
    /// How large the face is.
    Crop,
}

impl Question {
    pub(super) const ALL: [Self; 5] = [
        Self::Colour,
        Self::Scale,
        Self::Flip,
        Self::Shift,
        Self::Crop,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Colour => "colour order",
            Self::Scale => "scale",
            Self::Flip => "orientation",
            Self::Shift => "position of the face",
            Self::Crop => "size of the face",
        }
    }

    /// The ways to try, the present one among them.
    pub(super) fn ways(self, now: &Hypothesis, grey: bool) -> Vec<Hypothesis> {
        let with = |change: &dyn Fn(&mut Hypothesis)| {
            let mut way = now.clone();
            change(&mut way);
            way
        };
        match self {
            Self::Colour if grey => vec![now.clone()],
            Self::Colour => [Colour::Rgb, Colour::Bgr]
                .map(|colour| {
                    with(&|way| {
                        if way.input.colour != colour {
                            // The numbers stay with their colours.
                            way.input.mean.reverse();
                            way.input.std.reverse();
                        }
                        way.input.colour = colour;
                    })
                })
                .to_vec(),
            Self::Scale => {
                let bgr = now.input.colour == Colour::Bgr;
                let mut ways: Vec<Hypothesis> = SCALES
                    .iter()
                    .map(|(_, mean, std)| {
                        with(&|way| {
                            (way.input.mean, way.input.std) = (*mean, *std);
                            if bgr {
                                way.input.mean.reverse();
                                way.input.std.reverse();
                            }
                        })
                    })
                    .collect();
                if !ways.contains(now) {
                    ways.push(now.clone());
                }
                ways
            }
            Self::Flip => vec![
                now.clone(),
                with(&|way| way.mirrored = true),
                with(&|way| way.upside_down = true),
            ],
            Self::Shift => [[0, 0], [-8, 0], [8, 0], [0, -8], [0, 8]]
                .map(|shift| with(&|way| way.shift = shift))
                .to_vec(),
            Self::Crop => [100, 85, 118]
                .map(|crop| with(&|way| way.crop = crop))
                .to_vec(),
        }
    }
}

impl Hypothesis {
    pub(super) fn new(input: InputSpec) -> Self {
        Self {
            input,
            mirrored: false,
            upside_down: false,
            shift: [0, 0],
            crop: 100,
        }
    }

    /// The part that answers a question, in words.
    pub(super) fn describe(&self, question: Question) -> String {
        match question {
            Question::Colour => colour_name(self.input.colour).into(),
            Question::Scale => {
                let (mut mean, mut std) = (self.input.mean, self.input.std);
                if self.input.colour == Colour::Bgr {
                    mean.reverse();
                    std.reverse();
                }
                let known = SCALES.iter().find(|(_, m, s)| (*m, *s) == (mean, std));
                match known {
                    Some((name, ..)) => (*name).into(),
                    None => format!("(x − {:?})/{:?}", self.input.mean, self.input.std),
                }
            }
            Question::Flip => match (self.mirrored, self.upside_down) {
                (_, true) => "upside down".into(),
                (true, _) => "mirrored".into(),
                _ => "as they are".into(),
            },
            Question::Shift => match self.shift {
                [0, 0] => "where it is".into(),
                [x, 0] if x < 0 => format!("{}% further left", -x),
                [x, 0] => format!("{x}% further right"),
                [_, y] if y < 0 => format!("{}% higher", -y),
                [_, y] => format!("{y}% lower"),
            },
            Question::Crop => match self.crop {
                100 => "as it is".into(),
                crop if crop < 100 => format!("cut tighter, to {crop}% of the side"),
                crop => format!("with a margin, {crop}% of the side"),
            },
        }
    }

    /// The picture as this way shows it.
    pub(super) fn present(&self, face: &FaceImage) -> FaceImage {
        let (width, height) = (face.width as f32, face.height as f32);
        let mut out = face.clone();
        if self.mirrored {
            out = out.flip_horizontal();
        }
        if self.upside_down {
            let row = out.width;
            for plane in out.planes_mut() {
                let rows: Vec<Vec<f32>> = plane.chunks(row).rev().map(<[f32]>::to_vec).collect();
                plane.copy_from_slice(&rows.concat());
            }
        }
        if self.shift == [0, 0] && self.crop == 100 {
            return out;
        }
        // The window that becomes the picture; black where it leaves the old one.
        let crop = self.crop as f32 / 100.0;
        let (new_width, new_height) = ((width * crop).round(), (height * crop).round());
        let left =
            ((width - new_width) / 2.0 - width * self.shift[0] as f32 / 100.0).round() as i64;
        let top =
            ((height - new_height) / 2.0 - height * self.shift[1] as f32 / 100.0).round() as i64;
        let mut window = FaceImage::filled(new_width as usize, new_height as usize, 0.0);
        let (window_width, window_height) = (window.width, window.height);
        for (source, target) in out.planes().zip(window.planes_mut()) {
            for y in 0..window_height {
                for x in 0..window_width {
                    let (from_x, from_y) = (x as i64 + left, y as i64 + top);
                    let inside = (0..face.width as i64).contains(&from_x)
                        && (0..face.height as i64).contains(&from_y);
                    if inside {
                        target[y * window_width + x] =
                            source[from_y as usize * face.width + from_x as usize];
                    }
                }
            }
        }
        fit(window, self.input.size)
    }
}
