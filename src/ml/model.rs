//! Fitted models: the only file that names smartcore.
//!
//! smartcore's forests and regressions give labels or need whole matrices, so a fitted model is kept as our own
//! numbers: coefficients, or flat trees. They predict exactly what smartcore predicts (tests compare the two),
//! serialise exactly (postcard), and do not depend on smartcore's own storage format. A forest is fitted as two halves
//! with seeds far apart, on as many threads as there are: the same trees whatever the number of threads.

use serde::{Deserialize, Serialize};
use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::arrays::Array;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::logistic_regression::{LogisticRegression, LogisticRegressionParameters};

use super::dataset::{DatasetError, Matrix, Preparation, Rows};
use super::recipe::Candidate;

/// A fitted model, with everything needed to score new rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedModel {
    /// The features it was fitted on, in order.
    pub features: Vec<String>,
    preparation: Preparation,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Form {
    Logistic { intercept: f64, coefficients: Vec<f64> },
    Forest { trees: Vec<Tree> },
}

/// A tree as flat arrays; a leaf has itself as child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Tree {
    feature: Vec<u32>,
    split: Vec<f64>,
    yes: Vec<u32>,
    no: Vec<u32>,
    output: Vec<f64>,
}

/// A fit or prediction that failed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The examples cannot be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// All examples have the same label.
    #[error("all {rows} training rows have the same label: there is nothing to learn from")]
    OneClass {
        /// The rows.
        rows: usize,
    },
    /// smartcore refused.
    #[error("fitting the {kind} on {rows} rows: {why}")]
    Fit {
        /// The kind of model.
        kind: &'static str,
        /// The rows.
        rows: usize,
        /// smartcore's message.
        why: String,
    },
    /// A stored model cannot be read back.
    #[error("the stored model does not read back ({0}): train it again")]
    Unreadable(String),
}

type SmartForest = RandomForestRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>;

impl FittedModel {
    /// Fits a candidate on rows whose labels are all known.
    ///
    /// # Errors
    /// When the rows cannot be used or smartcore refuses.
    pub fn fit(candidate: &Candidate, rows: &Rows, seed: u64) -> Result<Self, ModelError> {
        let rows = match candidate {
            Candidate::LogisticRegression { max_rows: Some(most), .. } => &rows.drawn(*most, seed),
            _ => rows,
        };
        let labels = rows.labels();
        let positives = labels.iter().filter(|label| **label > 0.5).count();
        if positives == 0 || positives == labels.len() {
            return Err(ModelError::OneClass { rows: labels.len() });
        }
        let preparation = Preparation::learn(rows);
        let matrix = preparation.apply(rows)?;
        let form = match candidate {
            Candidate::LogisticRegression { alpha, .. } => logistic(&matrix, &labels, *alpha)?,
            Candidate::Forest { trees, depth, min_leaf, features_per_split } => {
                let parameters = RandomForestRegressorParameters::default()
                    .with_max_depth(*depth)
                    .with_min_samples_leaf(*min_leaf)
                    .with_min_samples_split(2 * *min_leaf)
                    .with_m((*features_per_split).min(matrix.columns.len()))
                    .with_n_trees(*trees)
                    .with_seed(seed);
                forest(&matrix, &labels, &parameters)?
            }
        };
        Ok(Self { features: rows.features.clone(), preparation, form })
    }

    /// Returns the probability of the label for each row.
    ///
    /// # Errors
    /// When a value is not finite.
    pub fn predict(&self, rows: &Rows) -> Result<Vec<f64>, ModelError> {
        let matrix = self.preparation.apply(rows)?;
        Ok((0..rows.len()).map(|row| self.form.predict(&matrix, row)).collect())
    }

    /// Returns the model's bytes: exact, and the same for the same model.
    ///
    /// # Errors
    /// Never in practice: numbers and names always serialise.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        postcard::to_stdvec(self).map_err(|error| ModelError::Unreadable(error.to_string()))
    }

    /// Reads a model's bytes.
    ///
    /// # Errors
    /// When they are not a model of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        postcard::from_bytes(bytes).map_err(|error| ModelError::Unreadable(error.to_string()))
    }
}

impl Form {
    fn predict(&self, matrix: &Matrix, row: usize) -> f64 {
        match self {
            Self::Logistic { intercept, coefficients } => {
                let logit =
                    coefficients.iter().zip(&matrix.columns).fold(*intercept, |sum, (b, column)| sum + b * column[row]);
                1.0 / (1.0 + (-logit).exp())
            }
            Self::Forest { trees } => {
                let sum: f64 = trees.iter().map(|tree| tree.predict(matrix, row)).sum();
                (sum / trees.len().max(1) as f64).clamp(0.0, 1.0)
            }
        }
    }
}

impl Tree {
    fn predict(&self, matrix: &Matrix, row: usize) -> f64 {
        let mut node = 0;
        loop {
            let at = matrix.columns[self.feature[node] as usize][row];
            let next = if at <= self.split[node] { self.yes[node] } else { self.no[node] } as usize;
            if next == node {
                return self.output[node];
            }
            node = next;
        }
    }
}

/// Column by column, as trees read it.
fn dense(matrix: &Matrix) -> Result<DenseMatrix<f64>, String> {
    let rows = matrix.columns.first().map_or(0, Vec::len);
    let values: Vec<f64> = matrix.columns.iter().flatten().copied().collect();
    DenseMatrix::new(rows, matrix.columns.len(), values, true).map_err(|error| error.to_string())
}

/// Row by row, as a regression reads it.
fn dense_by_row(matrix: &Matrix) -> Result<DenseMatrix<f64>, String> {
    let rows = matrix.columns.first().map_or(0, Vec::len);
    let values: Vec<f64> = (0..rows).flat_map(|row| matrix.columns.iter().map(move |column| column[row])).collect();
    DenseMatrix::new(rows, matrix.columns.len(), values, false).map_err(|error| error.to_string())
}

fn logistic(matrix: &Matrix, labels: &[f64], alpha: f64) -> Result<Form, ModelError> {
    let failed = |why| ModelError::Fit { kind: "logistic regression", rows: labels.len(), why };
    let classes: Vec<i32> = labels.iter().map(|label| i32::from(*label > 0.5)).collect();
    let parameters = LogisticRegressionParameters::default().with_alpha(alpha);
    let fitted = LogisticRegression::fit(&dense_by_row(matrix).map_err(failed)?, &classes, parameters)
        .map_err(|error| failed(error.to_string()))?;
    let coefficients: Vec<f64> = (0..matrix.columns.len()).map(|j| *fitted.coefficients().get((0, j))).collect();
    let intercept = *fitted.intercept().get((0, 0));
    // smartcore answers some inputs with zeros and no error; a model of all zeros ranks nothing.
    if coefficients.iter().all(|b| *b == 0.0) {
        return Err(failed("all coefficients are zero".to_owned()));
    }
    Ok(Form::Logistic { intercept, coefficients })
}

fn forest(matrix: &Matrix, labels: &[f64], parameters: &RandomForestRegressorParameters) -> Result<Form, ModelError> {
    const HALVES: u64 = 2;
    let failed = |why: String| ModelError::Fit { kind: "forest", rows: labels.len(), why };
    let x = dense(matrix).map_err(failed)?;
    let y = labels.to_vec();
    let of_half = |half: u64| {
        let n = parameters.n_trees.div_ceil(2).max(1);
        // Trees of one fit take seed, seed + 1, …: halves a million apart never share one.
        let parameters = parameters.clone().with_n_trees(n).with_seed(parameters.seed.wrapping_add(half * 1_000_000));
        SmartForest::fit(&x, &y, parameters).map_err(|error| error.to_string()).and_then(|forest| flat(&forest))
    };
    let halves: Vec<Result<Vec<Tree>, String>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..HALVES).map(|half| scope.spawn(move || of_half(half))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("smartcore panicked".to_owned())))
            .collect()
    });
    let mut all = Vec::new();
    for half in halves {
        all.extend(half.map_err(failed)?);
    }
    Ok(Form::Forest { trees: all })
}

/// Reads a forest's trees out of its serialised form: its fields are private.
fn flat(forest: &SmartForest) -> Result<Vec<Tree>, String> {
    #[derive(Deserialize)]
    struct Forest {
        forest_regressor: Base,
    }
    #[derive(Deserialize)]
    struct Base {
        trees: Vec<SmartTree>,
    }
    #[derive(Deserialize)]
    struct SmartTree {
        nodes: Vec<Node>,
    }
    #[derive(Deserialize)]
    struct Node {
        output: f64,
        split_feature: usize,
        split_value: Option<f64>,
        true_child: Option<usize>,
        false_child: Option<usize>,
    }
    let value = serde_json::to_value(forest).map_err(|error| error.to_string())?;
    let forest: Forest = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let small = |n: usize| u32::try_from(n).map_err(|error| error.to_string());
    let flat = |tree: SmartTree| -> Result<Tree, String> {
        let mut flat =
            Tree { feature: Vec::new(), split: Vec::new(), yes: Vec::new(), no: Vec::new(), output: Vec::new() };
        for (index, node) in tree.nodes.into_iter().enumerate() {
            let is_leaf = node.true_child.is_none() && node.false_child.is_none();
            flat.feature.push(if is_leaf { 0 } else { small(node.split_feature)? });
            flat.split.push(node.split_value.unwrap_or(0.0));
            flat.yes.push(small(node.true_child.unwrap_or(index))?);
            flat.no.push(small(node.false_child.unwrap_or(index))?);
            flat.output.push(node.output);
        }
        Ok(flat)
    };
    forest.forest_regressor.trees.into_iter().map(flat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows with a known signal: the label depends on x, and z is noise with gaps.
    fn rows(n: u32) -> Rows {
        let unit = |i: u32, a: u32, m: u32| f64::from((i * a) % m) / f64::from(m);
        let x: Vec<f64> = (0..n).map(|i| unit(i, 7919, 1009)).collect();
        let z: Vec<f64> = (0..n).map(|i| if i % 11 == 0 { f64::NAN } else { unit(i, 6101, 997) }).collect();
        let label = (0..n).map(|i| Some(f64::from(unit(i, 53, 97) < x[i as usize]))).collect();
        Rows {
            enrollment: (0..n).map(|i| i.to_string()).collect(),
            person: Vec::new(),
            course: vec![1; n as usize],
            term: vec!["1".to_owned(); n as usize],
            week: vec![2; n as usize],
            as_of: vec![0; n as usize],
            label,
            known_at: vec![Some(0); n as usize],
            features: vec!["x".to_owned(), "z".to_owned()],
            values: vec![x, z],
        }
    }

    fn a_forest() -> Candidate {
        Candidate::Forest { trees: 10, depth: 6, min_leaf: 5, features_per_split: 2 }
    }

    #[test]
    fn flat_trees_predict_what_smartcore_predicts() {
        let rows = rows(600);
        let matrix = Preparation::learn(&rows).apply(&rows).unwrap();
        let parameters = RandomForestRegressorParameters::default().with_n_trees(8).with_max_depth(6).with_seed(3);
        let theirs = SmartForest::fit(&dense(&matrix).unwrap(), &rows.labels(), parameters).unwrap();
        let predicted = theirs.predict(&dense(&matrix).unwrap()).unwrap();

        let ours = Form::Forest { trees: flat(&theirs).unwrap() };

        for (row, predicted) in predicted.iter().enumerate() {
            assert!((ours.predict(&matrix, row) - predicted).abs() < 1e-12, "row {row}");
        }
    }

    #[test]
    fn a_model_reads_back_to_the_bit_and_is_the_same_every_time() {
        let rows = rows(600);
        for candidate in [a_forest(), Candidate::LogisticRegression { alpha: 1.0, max_rows: None }] {
            let model = FittedModel::fit(&candidate, &rows, 7).unwrap();
            let again = FittedModel::fit(&candidate, &rows, 7).unwrap();

            let bytes = model.to_bytes().unwrap();

            assert_eq!(bytes, again.to_bytes().unwrap());
            assert_eq!(FittedModel::from_bytes(&bytes).unwrap(), model);
        }
    }

    #[test]
    fn both_kinds_find_a_signal_that_is_there() {
        let rows = rows(800);
        for candidate in [a_forest(), Candidate::LogisticRegression { alpha: 1.0, max_rows: None }] {
            let scores = FittedModel::fit(&candidate, &rows, 7).unwrap().predict(&rows).unwrap();

            let auc = crate::ml::auc::roc_auc(&scores, &rows.labels()).unwrap();

            assert!(auc > 0.7, "{candidate:?}: {auc}");
        }
    }

    #[test]
    fn one_class_is_refused_in_words() {
        let mut rows = rows(50);
        rows.label = vec![Some(1.0); 50];

        let error = FittedModel::fit(&a_forest(), &rows, 7).unwrap_err();

        assert!(error.to_string().contains("same label"), "{error}");
    }
}
