//! The crash cases against a tiny engine that writes every request into one file before it obeys, whole and broken.

use std::path::Path;

use super::*;
use crate::engine::conformance::crash::{End, play};
use crate::env::sim::SimDisk;
use crate::env::{Disk as _, DiskFile, Open};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    NeverSyncs,
    DirectoryIsNotSynced,
    AnswersBeforeSync,
    VisibleBeforeSync,
    NoChecksum,
    ServesARecoveredTailUnsynced,
    TornBatch,
    SealInMemoryOnly,
    DeleteInMemoryOnly,
    CreateInMemoryOnly,
    WritesTwice,
    ArrivalIsThatOfTheRecovery,
}

const FLAWS: &[Flaw] = {
    use self::Flaw::*;
    &[
        NeverSyncs,
        DirectoryIsNotSynced,
        AnswersBeforeSync,
        VisibleBeforeSync,
        NoChecksum,
        ServesARecoveredTailUnsynced,
        TornBatch,
        SealInMemoryOnly,
        DeleteInMemoryOnly,
        CreateInMemoryOnly,
        WritesTwice,
        ArrivalIsThatOfTheRecovery,
    ]
};

#[derive(serde::Serialize, serde::Deserialize)]
enum Request {
    Append { log: LogId, end: Option<Offset>, now: Millis },
    Seal(LogId),
    Create(LogId, Millis),
    Delete(LogId),
}

impl Request {
    fn apply(&self, batch: &[u8], model: &mut Model) -> Appended {
        match self {
            Self::Append { log, end, now } => {
                let Ok(batch) = Batch::from_bytes(batch.to_vec().into()) else { return Appended::Unknown };
                let append = Append { log: *log, expect: end.map_or(Expect::Tail, Expect::End), batch };
                return model.append(&append, *now);
            }
            Self::Seal(log) => {
                if let Some(log) = model.logs.get_mut(log) {
                    log.sealed = true;
                }
            }
            Self::Create(id, floor) => model.create(&LogSpec { id: *id, class: 0, floor: *floor }),
            Self::Delete(log) => {
                model.logs.remove(log);
            }
        }
        Appended::Missing
    }
}

/// frame := len: u32 LE | checksum: u32 LE | request in JSON | 0 | batch
struct FileEngine {
    flaw: Flaw,
    clock: SimClock,
    memory: MemoryEngine,
    file: Arc<dyn DiskFile>,
    end: Mutex<u64>,
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl FileEngine {
    fn open(disk: &SimDisk, clock: &SimClock, flaw: Flaw) -> std::io::Result<Self> {
        let (dir, path) = (Path::new("/"), Path::new("/journal"));
        let file = match disk.open(path, Open::Write) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => disk.open(path, Open::CreateNew)?,
            Err(error) => return Err(error),
        };
        if flaw != Flaw::DirectoryIsNotSynced {
            disk.sync_dir(dir)?;
        }
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let mut model = Model::default();
        let mut rest = &bytes[..];
        while let Some((header, body)) = rest.split_first_chunk::<8>() {
            let word = |at| u32::from_le_bytes(std::array::from_fn(|n| header[at + n]));
            let Some((body, after)) = body.split_at_checked(word(0) as usize) else { break };
            let ignore = flaw == Flaw::NoChecksum;
            if body.is_empty() || (checksum(body) != word(4) && !ignore) {
                break;
            }
            let (request, batch) = body.split_at(body.iter().position(|&byte| byte == 0).unwrap_or(body.len()));
            let Ok(mut request) = serde_json::from_slice(request) else { break };
            if let (Flaw::ArrivalIsThatOfTheRecovery, Request::Append { now, .. }) = (flaw, &mut request) {
                *now = clock.now_ms();
            }
            let _ = request.apply(batch.get(1..).unwrap_or_default(), &mut model);
            rest = after;
        }
        let end = (bytes.len() - rest.len()) as u64;
        file.set_len(end)?;
        if flaw != Flaw::ServesARecoveredTailUnsynced && flaw != Flaw::NeverSyncs {
            file.sync()?;
        }
        let memory = MemoryEngine::over(model, clock, super::Flaw::None);
        Ok(Self { flaw, clock: clock.clone(), memory, file, end: Mutex::new(end) })
    }

    fn frame(request: &Request, batch: &[u8]) -> Vec<u8> {
        let body = [&serde_json::to_vec(request).unwrap()[..], &[0], batch].concat();
        [&(body.len() as u32).to_le_bytes()[..], &checksum(&body).to_le_bytes(), &body].concat()
    }

    async fn obey(&self, request: Request, batch: &[u8]) -> std::io::Result<Appended> {
        let obey = || {
            let answer = request.apply(batch, &mut self.memory.state.lock().unwrap().0);
            self.memory.wake(super::Flaw::SealForgets);
            answer
        };
        let only_in_memory = matches!(
            (self.flaw, &request),
            (Flaw::SealInMemoryOnly, Request::Seal(_))
                | (Flaw::DeleteInMemoryOnly, Request::Delete(_))
                | (Flaw::CreateInMemoryOnly, Request::Create(..))
        );
        if only_in_memory {
            return Ok(obey());
        }
        let early = matches!(self.flaw, Flaw::VisibleBeforeSync | Flaw::AnswersBeforeSync).then(obey);
        if early.is_some() {
            yield_now().await;
        }
        let frame = Self::frame(&request, batch);
        let mut end = self.end.lock().unwrap();
        let again = if self.flaw == Flaw::WritesTwice { 2 } else { 1 };
        for _ in 0..again {
            self.file.write_all_at(&frame, *end)?;
            *end += frame.len() as u64;
        }
        match (self.flaw, &early) {
            (Flaw::AnswersBeforeSync, Some(early)) => {
                let _ = self.file.sync();
                return Ok(early.clone());
            }
            (Flaw::NeverSyncs, _) => {}
            _ => self.file.sync()?,
        }
        Ok(early.unwrap_or_else(obey))
    }

    async fn append_one(&self, append: Append) -> std::io::Result<Appended> {
        let now = self.clock.now_ms();
        let Append { log, expect, batch } = append;
        let mut end = match expect {
            Expect::End(end) => Some(end),
            Expect::Tail => None,
        };
        if self.flaw != Flaw::TornBatch {
            return self.obey(Request::Append { log, end, now }, batch.bytes()).await;
        }
        let mut first = None;
        for record in batch.records() {
            let batch = Batch::single(record.key, record.data);
            let answer = self.obey(Request::Append { log, end, now }, batch.bytes()).await?;
            let Appended::At { first: at, .. } = answer else { return Ok(answer) };
            end = end.map(|_| at + 1);
            first.get_or_insert(answer);
        }
        Ok(first.unwrap())
    }

    async fn each(&self, requests: Vec<Request>) -> Result<(), EngineError> {
        for request in requests {
            let _ = self.obey(request, &[]).await.map_err(|error| EngineError::Unavailable(error.to_string()))?;
        }
        Ok(())
    }
}

impl Engine for FileEngine {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for append in appends {
                answers.push(self.append_one(append).await.unwrap_or(Appended::Unknown));
            }
            answers
        })
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        self.memory.read(request)
    }

    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        self.memory.tail(log)
    }

    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        self.memory.grown(log, end)
    }

    fn seek(&self, log: LogId, time: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        self.memory.seek(log, time)
    }

    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        Box::pin(async move {
            self.each(vec![Request::Seal(log)]).await?;
            self.memory.with(log, |log| Sealed { end: log.end(), last_arrival: log.last_arrival })
        })
    }

    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        self.memory.trim(log, before)
    }

    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.each(logs.into_iter().map(|spec| Request::Create(spec.id, spec.floor)).collect()))
    }

    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.each(logs.into_iter().map(Request::Delete).collect()))
    }
}

fn open_with(disk: &SimDisk, clock: &SimClock, flaw: Flaw) -> Result<Arc<dyn Engine>, String> {
    match FileEngine::open(disk, clock, flaw) {
        Ok(engine) => Ok(Arc::new(engine)),
        Err(error) => Err(error.to_string()),
    }
}

fn sound(disk: &SimDisk, clock: &SimClock) -> Result<Arc<dyn Engine>, String> {
    open_with(disk, clock, Flaw::None)
}

crate::engine_crash_conformance!(sound);

mod of_a_sound_engine_on_a_disk {
    use super::*;

    crate::engine_conformance!(|clock: &SimClock| sound(&SimDisk::new(), clock).unwrap());
}

#[test]
fn every_flaw_is_caught() {
    let missed: Vec<_> = FLAWS.iter().filter(|flaw| !is_caught(|disk, clock| open_with(disk, clock, **flaw))).collect();
    assert!(missed.is_empty(), "the suite passes engines with {missed:?}");
}

#[test]
fn a_lying_disk_is_caught() {
    assert!(is_caught(|disk, clock| {
        disk.set_lies(true);
        sound(disk, clock)
    }));
}

fn is_caught(open: impl Fn(&SimDisk, &SimClock) -> Result<Arc<dyn Engine>, String>) -> bool {
    let ends =
        [[End::PowerLoss, End::PowerLoss], [End::Kill, End::LossOfWhatWasRecovered], [End::Drop, End::PowerLoss]];
    (0..60).any(|seed| {
        let run = || play(&open, seed, &ends[seed as usize % 3], seed % 2 == 1);
        catch_unwind(AssertUnwindSafe(run)).is_err()
    })
}
