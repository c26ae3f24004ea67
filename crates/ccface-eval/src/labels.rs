//! Names of people as dense numbers.

use std::collections::HashMap;

use crate::comparison::Subject;

/// Hands out one [`Subject`] number per distinct name, in order of first sight.
///
/// ```
/// use ccface_eval::Labels;
/// let mut labels = Labels::default();
/// assert_eq!(labels.numbers(["anna", "ben", "anna"]), [0, 1, 0]);
/// assert_eq!(labels.name(1), Some("ben"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Labels {
    names: Vec<String>,
    numbers: HashMap<String, Subject>,
}

impl Labels {
    /// The number of `name`, a new one where it is seen for the first time.
    pub fn number(&mut self, name: &str) -> Subject {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as Subject;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The numbers of many names.
    pub fn numbers<S: AsRef<str>>(&mut self, names: impl IntoIterator<Item = S>) -> Vec<Subject> {
        names
            .into_iter()
            .map(|name| self.number(name.as_ref()))
            .collect()
    }

    /// The number of a name that was seen before.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Subject> {
        self.numbers.get(name).copied()
    }

    /// The name behind a number.
    #[must_use]
    pub fn name(&self, number: Subject) -> Option<&str> {
        self.names.get(number as usize).map(String::as_str)
    }

    /// How many distinct names were seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True before the first name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}
