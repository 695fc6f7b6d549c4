//! A Slurm of one node and two CPUs, in a scratch folder, for one test: munge, slurmctld, slurmd.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What it needs; Debian has them in slurm-wlm, munge and util-linux.
const PROGRAMS: [&str; 6] = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "setpriv"];

/// The running cluster; stopped and removed when dropped.
pub struct Cluster {
    folder: PathBuf,
    daemons: Vec<Child>,
}

impl Cluster {
    /// Starts one; without what it takes, says that the test is skipped.
    pub fn start(test: &str) -> Option<Self> {
        if let Some(reason) = missing() {
            // Straight to the stream: the test harness hides what eprintln! writes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
            return None;
        }
        let name = format!("pellucid-slurm-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        for part in ["state", "spool", "log", "munge", "work"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let mut cluster = Self { folder, daemons: Vec::new() };
        cluster.start_munge();
        cluster.write_configuration();
        cluster.daemon("slurmctld", &["-D"]);
        cluster.daemon("slurmd", &["-D"]);
        cluster.wait("the node is idle", || cluster.says("sinfo", &["-h", "-o", "%T"]) == "idle");
        Some(cluster)
    }

    /// A folder for the test's files.
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// What Slurm's programs need in their environment.
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("slurm.conf")
    }

    /// Runs a program of Slurm's; its standard output, trimmed, and empty if it fails.
    pub fn says(&self, program: &str, args: &[&str]) -> String {
        says(&self.configuration(), program, args)
    }

    fn start_munge(&mut self) {
        let munge = self.folder.join("munge");
        let key = munge.join("key");
        let mut random = [0u8; 1024];
        let mut source = File::open("/dev/urandom").unwrap();
        std::io::Read::read_exact(&mut source, &mut random).unwrap();
        fs::write(&key, random).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
        fs::set_permissions(&munge, fs::Permissions::from_mode(0o711)).unwrap();
        let file = |option: &str, name: &str| format!("--{option}={}", munge.join(name).display());
        let options = [
            file("socket", "socket"),
            file("key-file", "key"),
            file("pid-file", "pid"),
            file("log-file", "log"),
            file("seed-file", "seed"),
            "--foreground".into(),
            "--force".into(),
            "--num-threads=2".into(),
        ];
        self.daemon("munged", &options.each_ref().map(String::as_str));
        wait("munge listens", &self.folder, || munge.join("socket").exists());
    }

    fn write_configuration(&self) {
        let host = Command::new("hostname").arg("-s").output().unwrap().stdout;
        let host = String::from_utf8(host).unwrap();
        let host = host.trim();
        let folder = self.folder.display();
        // Both at once, so that they differ.
        let free = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [control, node] = free.each_ref().map(|port| port.local_addr().unwrap().port());
        let text = format!(
            "ClusterName=test\n\
             SlurmctldHost={host}(127.0.0.1)\n\
             SlurmctldPort={control}\n\
             SlurmdPort={node}\n\
             SlurmUser=root\n\
             SlurmdUser=root\n\
             AuthType=auth/munge\n\
             AuthInfo=socket={folder}/munge/socket\n\
             StateSaveLocation={folder}/state\n\
             SlurmdSpoolDir={folder}/spool\n\
             SlurmctldLogFile={folder}/log/slurmctld\n\
             SlurmdLogFile={folder}/log/slurmd\n\
             SlurmctldPidFile={folder}/slurmctld.pid\n\
             SlurmdPidFile={folder}/slurmd.pid\n\
             MailProg=/bin/true\n\
             MpiDefault=none\n\
             ProctrackType=proctrack/linuxproc\n\
             TaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\n\
             SelectType=select/cons_tres\n\
             SelectTypeParameters=CR_Core\n\
             SlurmdParameters=config_overrides\n\
             ReturnToService=2\n\
             KillWait=10\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4096 State=UNKNOWN\n\
             PartitionName=p Nodes={host} Default=YES MaxTime=INFINITE State=UP\n"
        );
        fs::write(self.configuration(), text).unwrap();
    }

    /// Starts a daemon that ends with this test, even if the test is killed.
    fn daemon(&mut self, program: &str, args: &[&str]) {
        let log = File::create(self.folder.join("log").join(format!("{program}.out"))).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", program])
            .args(args)
            .env("SLURM_CONF", self.configuration())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.daemons.push(child.unwrap());
    }

    fn wait(&self, what: &str, done: impl FnMut() -> bool) {
        wait(what, &self.folder, done);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The processes of jobs are no children of ours: Slurm must end them.
        self.says("scancel", &["--user=root"]);
        let end = Instant::now() + Duration::from_secs(20);
        while !self.says("squeue", &["-h"]).is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(200));
        }
        for daemon in self.daemons.iter_mut().rev() {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let end = Instant::now() + Duration::from_secs(10);
            while matches!(daemon.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let kept = std::thread::panicking() || std::env::var_os("PELLUCID_KEEP").is_some();
        match kept {
            true => eprintln!("kept: {}", self.folder.display()),
            false => drop(fs::remove_dir_all(&self.folder)),
        }
    }
}

/// Waits until something is so.
///
/// # Panics
/// After a minute and a half, with what the daemons have to say.
#[track_caller]
pub fn wait(what: &str, folder: &Path, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(90);
    while !done() {
        if Instant::now() > end {
            let logs = ["slurmctld.out", "slurmd.out", "munged.out"].map(|name| {
                let text = fs::read_to_string(folder.join("log").join(name)).unwrap_or_default();
                let tail: Vec<_> = text.lines().rev().take(10).map(str::to_owned).collect();
                format!("{name}:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
            });
            panic!("waited in vain until {what}\n{}", logs.join("\n"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Runs a program of Slurm's; its standard output, trimmed, and empty if it fails.
pub fn says(configuration: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).env("SLURM_CONF", configuration).output();
    let output = output.unwrap();
    match output.status.success() {
        true => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        false => String::new(),
    }
}

/// Why there can be no cluster here.
fn missing() -> Option<String> {
    let found = |program: &&str| {
        let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let path = std::env::var_os("PATH").unwrap_or_default();
        folders
            .iter()
            .map(PathBuf::from)
            .chain(std::env::split_paths(&path))
            .any(|folder| folder.join(program).is_file())
    };
    if let Some(program) = PROGRAMS.iter().find(|program| !found(program)) {
        return Some(format!("no {program} (Debian: slurm-wlm, munge)"));
    }
    let id = Command::new("id").arg("-u").output().ok()?.stdout;
    (id.trim_ascii() != b"0").then(|| "Slurm's daemons need root".to_owned())
}
