//! The same night through a real Slurm, disturbed, and plainly: the same products, each made once.

#[path = "../../night/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::Cluster;
use serde_json::Value;
use support::{Parts, SIDE, write_prior, write_psf};

const TARGETS: usize = 16;
/// Cards of a product that tell when and how fast, and the sum over them.
const TIMES: [&str; 4] = ["DATE", "SAMPTIME", "NETSHARE", "CHECKSUM"];

/// A night in the cluster's scratch folder.
struct Night<'a> {
    cluster: &'a Cluster,
    folder: PathBuf,
}

impl<'a> Night<'a> {
    /// In a folder whose name must be quoted.
    fn new(cluster: &'a Cluster) -> Self {
        let folder = cluster.work().join("tonight's \"data\" $1 é");
        fs::create_dir_all(&folder).unwrap();
        Parts::default().write(&folder.join("a.fits"));
        write_psf(&folder.join("psf.fits"));
        write_prior(&folder.join("prior.safetensors"));
        for name in ["plain", "slurm"] {
            let mut text = format!(
                "format = 1\nname = \"night\"\noutput = \"{name}\"\n\
                 [defaults]\nexposures = [\"a.fits\"]\npsf = \"psf.fits\"\n\
                 prior = \"prior.safetensors\"\nflux_scale = 1.0\nsize = {SIDE}\nsamples = 128\n\
                 [run]\nthreads = 1\nin_flight = 1\nfigures = false\n\
                 [slurm]\nworkers = 2\ncpus_per_task = 1\nmem_mb = 1000\nwalltime = \"10\"\n"
            );
            for seed in 0..TARGETS {
                text += &format!("[[target]]\nname = \"t{seed:02}\"\nseed = {seed}\n");
            }
            fs::write(folder.join(format!("{name}.toml")), text).unwrap();
        }
        Self { cluster, folder }
    }

    fn pellucid<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_pellucid"));
        program.current_dir(&self.folder).args(args);
        program.env("SLURM_CONF", self.cluster.configuration()).output().unwrap()
    }

    #[track_caller]
    fn succeeds<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let output = self.pellucid(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.succeeds(["night", "status", "slurm.toml", "--json"])).unwrap()
    }

    fn wait(&self, what: &str, done: impl FnMut() -> bool) {
        cluster::wait(what, self.cluster.work().parent().unwrap(), done);
    }

    fn product(&self, night: &str, target: usize) -> PathBuf {
        self.folder.join(night).join(format!("products/t{target:02}.fits"))
    }

    /// Waits until a worker of two has made so many products and is at the next.
    fn wait_for_products(&self, worker: usize, count: usize) {
        let made = || (worker..TARGETS).step_by(2).filter(|t| self.product("slurm", *t).exists());
        self.wait("there are products", || made().count() >= count);
    }

    /// All events of the ledger.
    fn events(&self) -> Vec<Value> {
        let files = fs::read_dir(self.folder.join("slurm/ledger")).unwrap();
        let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let lines = texts.flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>());
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }
}

#[test]
fn a_disturbed_night_on_slurm_is_the_plain_one() {
    let name = "a_disturbed_night_on_slurm_is_the_plain_one";
    if !support::engine(name) {
        return;
    }
    let Some(cluster) = Cluster::start(name) else { return };
    let night = Night::new(&cluster);
    night.succeeds(["night", "run", "plain.toml"]);

    let script = night.succeeds(["night", "submit", "slurm.toml", "--dry-run"]);
    assert!(script.contains("#SBATCH --array=0-1"), "{script}");
    assert!(!night.folder.join("slurm/slurm").exists(), "a dry run leaves nothing");
    let submitted = night.succeeds(["night", "submit", "slurm.toml", "--json"]);
    let submitted: Value = serde_json::from_str(&submitted).unwrap();
    let job = submitted["job"].as_u64().unwrap();
    let again = night.pellucid(["night", "submit", "slurm.toml"]);
    assert_eq!(again.status.code(), Some(1), "it is queued");
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains(&format!("job {job}")) && said.contains("--force"), "{said}");

    // One worker's program is killed.
    night.wait_for_products(0, 2);
    let ours = format!(" slurm:{job}_0");
    let mut events = night.events();
    events.sort_by_key(|event| event["time"].as_str().map(str::to_owned));
    let process = events
        .iter()
        .rev()
        .find_map(|event| Some(event["worker"].as_str()?.strip_suffix(&ours)?.rsplit_once(':')?.1));
    let killed =
        Command::new("kill").args(["-9", process.expect("it has begun")]).status().unwrap();
    assert!(killed.success());
    // The other is put back into the queue.
    night.wait_for_products(1, 3);
    night.cluster.says("scontrol", &["requeue", &format!("{job}_1")]);
    let mut status = Value::Null;
    let task = |status: &Value, index: usize| status["slurm"]["tasks"][index].clone();
    night.wait("it is queued again", || {
        status = night.status();
        task(&status, 1)["state"] == "PENDING"
    });
    assert_eq!(task(&status, 1)["restarts"], 1, "{status:#}");
    let at_work = status["targets"].as_array().unwrap().iter().filter(|target| {
        let worker = target["worker"].as_str().unwrap_or_default();
        worker.ends_with("_1") && target["status"] == "running"
    });
    assert_eq!(at_work.count(), 0, "nothing runs in a task that waits: {status:#}");
    // Slurm would make it wait for two minutes. At once is too early: in the second of the
    // requeue a start is refused, its credential revoked.
    night
        .cluster
        .says("scontrol", &["update", &format!("JobId={job}_1"), "StartTime=now+3seconds"]);
    night.wait("all is over", || {
        status = night.status();
        (0..2).all(|index| task(&status, index)["state"] == "COMPLETED")
    });
    assert_eq!(status["totals"]["done"], TARGETS, "{status:#}");
    assert_eq!(status["interrupted"], Value::Array(Vec::new()));
    night.wait("there is a report", || night.folder.join("slurm/report.html").exists());

    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    for event in night.events().iter().filter(|event| event["event"] == "done") {
        *done.entry(event["target"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(done.values().all(|count| *count == 1), "nothing twice: {done:?}");
    for target in 0..TARGETS {
        let [plain, slurm] = ["plain", "slurm"].map(|name| timeless(&night.product(name, target)));
        assert!(plain == slurm, "t{target:02} differs");
    }
    let log = fs::read_to_string(night.folder.join(format!("slurm/slurm/{job}_0.log"))).unwrap();
    assert!(log.contains("killed by signal 9"), "{log}");
}

/// A product without the cards that differ from run to run.
fn timeless(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    for card in bytes.chunks_mut(80) {
        if TIMES.iter().any(|key| card.starts_with(key.as_bytes())) {
            card.fill(b' ');
        }
    }
    bytes
}
