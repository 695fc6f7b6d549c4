//! Checkpoints: everything a run needs to go on as if it had never stopped.

use std::collections::HashMap;
use std::path::Path;

use pellucid_posterior::score::model_file::{read_tensors, write_tensors};
use pellucid_posterior::score::parameters::Parameters;
use tch::Tensor;

use crate::adam::{Adam, leaves};
use crate::error::TrainingError;

const PARTS: [&str; 4] = ["weights.", "average.", "first.", "second."];

/// Writes the optimiser's state, atomically; `identity` names the settings a resumed run must share.
///
/// # Errors
/// [`TrainingError::Posterior`] naming the file.
pub fn save(path: &Path, adam: &Adam, identity: &[(&str, String)]) -> Result<(), TrainingError> {
    let mut metadata: HashMap<String, String> =
        identity.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    metadata.insert("step".into(), adam.step.to_string());
    let groups = [&adam.weights, &adam.average, &adam.first, &adam.second];
    let mut tensors = Vec::new();
    for (prefix, group) in PARTS.iter().zip(groups) {
        tensors.extend(group.iter().map(|(k, t)| (format!("{prefix}{k}"), t.shallow_clone())));
    }
    Ok(write_tensors(path, metadata, &tensors)?)
}

/// Reads a state written by [`save`], refusing one of another run.
///
/// # Errors
/// [`TrainingError::Checkpoint`] naming the setting that differs.
pub fn load(path: &Path, identity: &[(&str, String)]) -> Result<Adam, TrainingError> {
    let (metadata, tensors) = read_tensors(path)?;
    let mismatch = |what: &str, need: &str, got: &str| TrainingError::Checkpoint {
        path: path.into(),
        what: what.into(),
        need: need.into(),
        got: got.into(),
    };
    for (what, need) in identity {
        let got = metadata.get(*what).map_or("missing", String::as_str);
        if got != need {
            return Err(mismatch(what, need, got));
        }
    }
    let step = metadata.get("step").map_or("missing", String::as_str);
    let step = step.parse().map_err(|_| mismatch("step", "a number", step))?;
    let part = |prefix: &str| -> Parameters {
        let mut parameters = Parameters::default();
        for (name, tensor) in &tensors {
            if let Some(short) = name.strip_prefix(prefix) {
                parameters.insert(short, Tensor::shallow_clone(tensor));
            }
        }
        parameters
    };
    let [weights, average, first, second] = PARTS.map(part);
    Ok(Adam { weights: leaves(&weights), average, first, second, step })
}
