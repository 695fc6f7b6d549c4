//! The batch scripts: `submit.sh` for the array, `report.sh` for the job after it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::config::{Estimate, SlurmConfig};
use super::error::{Result, SlurmError};

/// Time limit of the job that writes the report.
const REPORT_WALLTIME: &str = "01:00:00";
/// What follows the options and the variables in `submit.sh`.
const BODY: &str = include_str!("submit.body.sh");
/// And in `report.sh`.
const REPORT_BODY: &str = include_str!("report.body.sh");

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The night's name.
    pub name: &'a str,
    /// The manifest, absolute.
    pub manifest: &'a Path,
    /// The night's `slurm` folder, absolute.
    pub folder: &'a Path,
    /// How many targets the night has.
    pub targets: usize,
    /// What runs it.
    pub program: Program,
}

/// The program on the nodes of the cluster.
#[derive(Debug, Clone)]
pub struct Program {
    /// The `pellucid` program, absolute.
    pub executable: PathBuf,
    /// Further arguments of `night run`, their paths absolute.
    pub arguments: Vec<OsString>,
    /// Environment variables that it needs, so that the script depends on nobody's shell.
    pub environment: Vec<(String, OsString)>,
}

/// The script of the array.
///
/// # Errors
/// [`SlurmError::Config`], and [`SlurmError::Path`] for a path that no script can hold.
pub fn script(job: &Job<'_>, config: &SlurmConfig, estimate: Option<Estimate>) -> Result<String> {
    config.validate()?;
    check_folder(job.folder)?;
    let tasks = config.tasks(job.targets);
    let mut options = vec![
        format!("--job-name={}", job_name(job.name)),
        format!("--array=0-{}", tasks - 1),
        "--output=%A_%a.log".to_owned(),
        "--open-mode=append".to_owned(),
        "--requeue".to_owned(),
        "--signal=B:TERM@60".to_owned(),
        "--nodes=1".to_owned(),
        "--ntasks=1".to_owned(),
        format!("--cpus-per-task={}", config.cpus_per_task),
        format!("--mem={}M", config.memory_mb(estimate)),
        format!("--time={}", config.time(estimate, tasks)),
    ];
    options.extend(place(config));
    if !config.gres.is_empty() {
        options.push(format!("--gres={}", config.gres));
    }
    options.extend(extra_options(config));
    let mut variables = vec![
        format!("folder={}", quote(job.folder)?),
        format!("workers={tasks}"),
        format!("restarts={}", config.restarts),
    ];
    let mut command = vec!["night".to_owned(), "run".to_owned(), quote(job.manifest)?];
    for argument in &job.program.arguments {
        command.push(quote(Path::new(argument))?);
    }
    variables.extend(program(&job.program, &command)?);
    Ok(assemble("one task of the array", &options, &variables, config, BODY))
}

/// The script of the job after the array.
///
/// # Errors
/// As [`script`].
pub fn report_script(job: &Job<'_>, config: &SlurmConfig) -> Result<String> {
    config.validate()?;
    check_folder(job.folder)?;
    let mut options = vec![
        format!("--job-name={}-report", job_name(job.name)),
        "--output=report_%j.log".to_owned(),
        "--open-mode=append".to_owned(),
        "--requeue".to_owned(),
        "--nodes=1".to_owned(),
        "--ntasks=1".to_owned(),
        "--cpus-per-task=1".to_owned(),
        format!("--mem={}M", config.memory_mb(None).min(2048)),
        format!("--time={REPORT_WALLTIME}"),
    ];
    options.extend(place(config));
    let command = ["night".to_owned(), "report".to_owned(), quote(job.manifest)?];
    let variables = program(&job.program, &command)?;
    Ok(assemble("the report, when all tasks have ended", &options, &variables, config, REPORT_BODY))
}

fn assemble(
    what: &str,
    options: &[String],
    variables: &[String],
    config: &SlurmConfig,
    body: &str,
) -> String {
    let mut text = format!(
        "#!/bin/bash\n# A Pellucid night on Slurm: {what}. Written by `pellucid night submit`, \
         which overwrites it.\n# By hand: run sbatch in this file's folder.\n"
    );
    for option in options {
        text.push_str(&format!("#SBATCH {option}\n"));
    }
    text.push('\n');
    for line in variables {
        text.push_str(line);
        text.push('\n');
    }
    for line in config.extra.iter().filter(|line| !is_option(line)) {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(body);
    text
}

/// Where both jobs run.
fn place(config: &SlurmConfig) -> Vec<String> {
    [("partition", &config.partition), ("account", &config.account), ("qos", &config.qos)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("--{key}={value}"))
        .collect()
}

fn is_option(line: &str) -> bool {
    line.trim_start().starts_with('-')
}

fn extra_options(config: &SlurmConfig) -> impl Iterator<Item = String> + '_ {
    config.extra.iter().filter(|line| is_option(line)).map(|line| line.trim().to_owned())
}

/// Environment and command line, as lines of bash.
fn program(program: &Program, command: &[String]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (name, value) in &program.environment {
        lines.push(format!("export {name}={}", quote(Path::new(value))?));
    }
    lines.push(format!("command=({} {})", quote(&program.executable)?, command.join(" ")));
    Ok(lines)
}

/// A path as one word of bash.
fn quote(path: &Path) -> Result<String> {
    let wrong = |reason| SlurmError::Path { path: path.to_owned(), reason };
    let text = path.to_str().ok_or_else(|| wrong("it is not UTF-8"))?;
    let quoted = shlex::try_quote(text).map_err(|_| wrong("it contains a NUL"))?;
    Ok(quoted.into_owned())
}

/// Slurm expands patterns in the log's folder too, and has no way to write these two literally.
fn check_folder(folder: &Path) -> Result<()> {
    let text = folder.to_string_lossy();
    match text.contains(['%', '\\']) {
        true => Err(SlurmError::Path {
            path: folder.to_owned(),
            reason: "Slurm cannot write logs to a folder with % or \\ in its path; \
                     set `output` in the manifest to another one",
        }),
        false => Ok(()),
    }
}

/// A name that fits into one word of an option.
fn job_name(night: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '-' };
    format!("pellucid-{}", night.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(folder: &Path) -> Job<'_> {
        Job {
            name: "a night",
            manifest: Path::new("/in/it's \"here\" $HOME/NIGHT.toml"),
            folder,
            targets: 24,
            program: Program {
                executable: "/opt/a b/pellucid".into(),
                arguments: vec!["--plugin".into(), "/opt/`x`/libpellucid.so".into()],
                environment: vec![("PELLUCID_MODELS".into(), "/models/ü !".into())],
            },
        }
    }

    #[test]
    fn the_options_follow_the_manifest() {
        let config = SlurmConfig {
            workers: 2,
            partition: "gpu".into(),
            gres: "gpu:a100:1".into(),
            account: "astro".into(),
            extra: vec!["--constraint=\"a100|h100\"".into(), "module load cuda".into()],
            ..SlurmConfig::default()
        };
        let text = script(&job(Path::new("/out/slurm")), &config, None).unwrap();
        for line in [
            "#SBATCH --job-name=pellucid-a-night",
            "#SBATCH --array=0-1",
            "#SBATCH --partition=gpu",
            "#SBATCH --gres=gpu:a100:1",
            "#SBATCH --account=astro",
            "#SBATCH --constraint=\"a100|h100\"",
            "#SBATCH --time=0-12:00:00",
            "#SBATCH --mem=4096M",
            "module load cuda",
            "workers=2",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        assert!(!text.contains("--qos"), "{text}");
        let first_command = text.lines().position(|l| !l.starts_with('#') && !l.is_empty());
        let last_option = text.lines().position(|l| l.contains("--constraint"));
        assert!(last_option < first_command, "sbatch stops at the first command");
        let report = report_script(&job(Path::new("/out/slurm")), &config).unwrap();
        assert!(!report.contains("--gres") && !report.contains("--array"), "{report}");
        assert!(report.contains("--partition=gpu") && report.contains("night report"), "{report}");
    }

    #[test]
    fn bash_reads_the_words_back() {
        let folder = Path::new("/out/a 'b' \"c\"/slurm");
        let text = script(&job(folder), &SlurmConfig::default(), None).unwrap();
        let settings: String = text
            .lines()
            .filter(|l| ["folder=", "export ", "command="].iter().any(|p| l.starts_with(p)))
            .collect::<Vec<_>>()
            .join("\n");
        let print = format!(
            "{settings}\nprintf '%s\\0' \"$folder\" \"$PELLUCID_MODELS\" \"${{command[@]}}\""
        );
        let output = std::process::Command::new("bash").args(["-c", &print]).output().unwrap();
        let words: Vec<_> = output.stdout.split(|&b| b == 0).map(String::from_utf8_lossy).collect();
        assert_eq!(
            words,
            [
                "/out/a 'b' \"c\"/slurm",
                "/models/ü !",
                "/opt/a b/pellucid",
                "night",
                "run",
                "/in/it's \"here\" $HOME/NIGHT.toml",
                "--plugin",
                "/opt/`x`/libpellucid.so",
                "",
            ]
        );
    }

    #[test]
    fn folders_that_slurm_cannot_log_to_are_refused() {
        for folder in ["/out/50%/slurm", "/out/a\\b/slurm"] {
            let refused = script(&job(Path::new(folder)), &SlurmConfig::default(), None);
            let message = refused.expect_err(folder).to_string();
            assert!(message.contains(folder) && message.contains("output"), "{message}");
        }
    }
}
