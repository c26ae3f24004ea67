//! Validation while training: EER by face size, LR probe against HR gallery.

use burn::module::Module;
use ccface_data::{FaceImage, degrade::lr_view};
use ccface_eval::Subject;
use ccface_eval::{Embeddings, Pairs, cross_scores};
use ccface_model::Backbone;

use crate::{
    TrainError,
    encoder::{ModuleEncoder, embed_unit},
    metrics::{Report, ScalarKind},
    signals::RunSignals,
    trainee::StepContext,
};

/// Decoded faces, their labels, and the sizes to look at them.
#[derive(Debug)]
pub(crate) struct ValidationSet {
    pub(crate) faces: Vec<FaceImage>,
    pub(crate) labels: Vec<Subject>,
    pub(crate) sizes: Vec<usize>,
    pub(crate) batch: usize,
    /// Looked at between faces, so that a long validation can be left.
    pub(crate) signals: RunSignals,
}

/// The name of a validation number in the metrics stream.
pub(crate) fn eer_name(size: usize) -> String {
    format!("eer_{size}px")
}

impl ValidationSet {
    /// No validation.
    pub(crate) fn empty() -> Self {
        Self {
            faces: Vec::new(),
            labels: Vec::new(),
            sizes: Vec::new(),
            batch: 1,
            signals: RunSignals::default(),
        }
    }

    pub(crate) fn kinds(&self) -> Vec<ScalarKind> {
        let mut kinds: Vec<ScalarKind> = self
            .sizes
            .iter()
            .map(|size| ScalarKind::lower(eer_name(*size)).unit("%"))
            .collect();
        kinds.push(ScalarKind::lower("eer_hr").unit("%"));
        kinds
    }

    /// EER in percent at each size and for HR against HR; NaN where it cannot be computed.
    ///
    /// # Errors
    /// [`TrainError::Stopped`] where the run is to end.
    pub(crate) fn evaluate(
        &self,
        student: &Backbone,
        context: &StepContext,
    ) -> Result<Report, TrainError> {
        let mut report = Report {
            samples: self.faces.len(),
            ..Report::default()
        };
        let rates = self.rates(student, context);
        match &rates {
            Err(TrainError::Stopped) => return Err(TrainError::Stopped),
            Err(error) => log::error!("validation: {error}"),
            Ok(_) => {}
        }
        for (kind, index) in self.kinds().into_iter().zip(0..) {
            let value = rates
                .as_ref()
                .ok()
                .and_then(|r: &Vec<f64>| r.get(index).copied());
            report.push(kind.name, value.unwrap_or(f64::NAN));
        }
        Ok(report)
    }

    fn rates(&self, student: &Backbone, context: &StepContext) -> Result<Vec<f64>, TrainError> {
        let device = student.devices()[0].clone();
        let encoder =
            ModuleEncoder::new(student, context.input.clone(), context.embedding, &device);
        let gallery = self.embed(&encoder, None)?;
        let mut rates = Vec::new();
        for size in self.sizes.iter().map(|s| Some(*s)).chain([None]) {
            let probe = match size {
                Some(_) => self.embed(&encoder, size)?,
                None => gallery.clone(),
            };
            let scores = cross_scores(
                &probe,
                &self.labels,
                &gallery,
                &self.labels,
                Pairs::OtherImages,
            )
            .map_err(|e| TrainError::Evaluation(e.to_string()))?;
            rates.push(100.0 * scores.eer().value);
        }
        Ok(rates)
    }

    fn embed(
        &self,
        encoder: &ModuleEncoder,
        size: Option<usize>,
    ) -> Result<Embeddings, TrainError> {
        use crate::encoder::FaceEncoder;
        let side = encoder.input().size;
        let view = |i: usize| {
            self.signals.check()?;
            let face = &self.faces[i];
            Ok(match size {
                Some(r) => lr_view(face, r, side),
                None => face.clone(),
            })
        };
        let rows = embed_unit(encoder, self.faces.len(), self.batch, &view, &mut |_| {})?;
        Embeddings::new(rows, encoder.dim()).map_err(|e| TrainError::Evaluation(e.to_string()))
    }
}
