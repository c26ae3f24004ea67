//! What a page is made of: one or several encoders on the same faces.

use ccface_data::FaceImage;
use ccface_eval::{CollapseResult, PairingResult};
use ccface_train::faces::{FacesEvaluation, FacesResult, NetworkFacts, Views};

/// Which encoder of an evaluation is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The evaluated network.
    Network,
    /// Its teacher.
    Teacher,
}

/// One encoder with its results.
#[derive(Clone, Debug)]
pub(crate) struct Contender<'a> {
    /// Its name on the page.
    pub(crate) name: String,
    /// Class that gives its colour.
    pub(crate) tone: &'static str,
    /// The evaluation it stands in.
    pub(crate) evaluation: &'a FacesEvaluation,
    views: &'a Views,
    side: Side,
}

impl<'a> Contender<'a> {
    /// Its embeddings.
    pub(crate) fn views(&self) -> &'a Views {
        self.views
    }

    /// What is known of the network.
    pub(crate) fn facts(&self) -> &'a NetworkFacts {
        let result = &self.evaluation.result;
        match self.side {
            Side::Network => &result.model,
            Side::Teacher => result.teacher.as_ref().unwrap_or(&result.model),
        }
    }

    /// LR probe against HR gallery, both by this encoder.
    pub(crate) fn at(&self, size: usize) -> Option<&'a PairingResult> {
        let name = match self.side {
            Side::Network => "student-student",
            Side::Teacher => "teacher-teacher",
        };
        self.evaluation.result.pairing(name, size)
    }

    /// LR against LR, both by this encoder.
    pub(crate) fn collapse(&self, size: usize) -> Option<&'a CollapseResult> {
        let name = match self.side {
            Side::Network => "lr-lr",
            Side::Teacher => "lr-lr-teacher",
        };
        self.evaluation.result.collapse(name, size)
    }
}

/// Everything the sections of a page draw from.
#[derive(Clone, Debug)]
pub(crate) struct Material<'a> {
    /// The encoders, the baseline first, the one the page is about last; never empty.
    pub(crate) contenders: Vec<Contender<'a>>,
    /// Probe sizes that all of them have, ascending.
    pub(crate) sizes: Vec<usize>,
}

impl<'a> Material<'a> {
    /// An evaluated network, after its teacher where there is one.
    pub(crate) fn of_one(evaluation: &'a FacesEvaluation) -> Self {
        let mut contenders = Vec::new();
        let teacher = evaluation
            .teacher
            .as_ref()
            .filter(|_| evaluation.result.teacher.is_some());
        if let Some(views) = teacher {
            contenders.push(Contender {
                name: "teacher".into(),
                tone: "t1",
                evaluation,
                views,
                side: Side::Teacher,
            });
        }
        let name = if teacher.is_some() {
            "student"
        } else {
            "network"
        };
        let views = &evaluation.student;
        contenders.push(Contender {
            name: name.into(),
            tone: "t0",
            evaluation,
            views,
            side: Side::Network,
        });
        Self {
            contenders,
            sizes: evaluation.result.sizes.clone(),
        }
    }

    /// Several networks evaluated on the same faces; `None` where there is none.
    pub(crate) fn of_many(models: &[(&str, &'a FacesEvaluation)]) -> Option<Self> {
        let (last, rest) = models.split_last()?;
        let contender = |(name, evaluation): &(&str, &'a FacesEvaluation), tone| Contender {
            name: (*name).into(),
            tone,
            evaluation,
            views: &evaluation.student,
            side: Side::Network,
        };
        let tones = ["t1", "t2", "t3", "t4"];
        let mut contenders: Vec<_> = rest
            .iter()
            .zip(tones.iter().cycle())
            .map(|(m, tone)| contender(m, tone))
            .collect();
        contenders.push(contender(last, "t0"));
        let mut sizes = contenders[0].evaluation.result.sizes.clone();
        sizes.retain(|size| {
            contenders
                .iter()
                .all(|c| c.evaluation.result.sizes.contains(size))
        });
        Some(Self { contenders, sizes })
    }

    /// The encoder the page is about.
    pub(crate) fn subject(&self) -> &Contender<'a> {
        &self.contenders[self.contenders.len() - 1]
    }

    /// What the subject is measured against.
    pub(crate) fn baseline(&self) -> Option<&Contender<'a>> {
        self.contenders
            .first()
            .filter(|_| self.contenders.len() > 1)
    }

    /// The evaluation whose faces are shown.
    pub(crate) fn evaluation(&self) -> &'a FacesEvaluation {
        self.subject().evaluation
    }

    /// Its numbers.
    pub(crate) fn result(&self) -> &'a FacesResult {
        &self.evaluation().result
    }

    /// The faces at full resolution.
    pub(crate) fn faces(&self) -> &'a [FaceImage] {
        &self.evaluation().faces
    }

    /// Probe by the student, gallery enrolled by the teacher.
    pub(crate) fn crossed(&self, size: usize) -> Option<&'a PairingResult> {
        self.result().pairing("student-teacher", size)
    }

    /// The name of the person on image `image`.
    pub(crate) fn person(&self, image: usize) -> &'a str {
        let evaluation = self.evaluation();
        let names = &evaluation.result.protocol.identity_names;
        usize::try_from(evaluation.labels[image])
            .ok()
            .and_then(|label| names.get(label))
            .map_or("?", String::as_str)
    }

    /// The size itself where it was evaluated, else the nearest, the smaller of two.
    pub(crate) fn nearest_size(&self, wanted: usize) -> Option<usize> {
        self.sizes
            .iter()
            .copied()
            .min_by_key(|size| (size.abs_diff(wanted), *size))
    }

    /// The smallest size from `least` up, else the largest.
    pub(crate) fn size_from(&self, least: usize) -> Option<usize> {
        self.sizes
            .iter()
            .copied()
            .find(|size| *size >= least)
            .or(self.sizes.last().copied())
    }

    /// Whether faces of this size are undegraded for every picture.
    pub(crate) fn is_full_size(&self, size: usize) -> bool {
        self.faces().iter().all(|face| size >= face.side())
    }
}
