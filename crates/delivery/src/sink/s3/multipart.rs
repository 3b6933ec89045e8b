//! Large objects, in parts.
//!
//! ```text
//! list and abort what a process that died has left under this key
//! create ──▶ parts, some at a time ──▶ complete       (the object appears, whole)
//!    └───────────┴── any failure ──────▶ abort        (nothing stays)
//! ```
//!
//! An upload that is neither completed nor aborted costs its owner money and is seen by nobody. So it is aborted when
//! a part fails, when the future is dropped, and before the next attempt at the same key; a key belongs to one cut, so
//! that nobody else uploads to it.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::task::JoinSet;

use super::{CONTENT_TYPE, explain};
use crate::sink::{Object, SinkError};

/// An object with more bytes goes in parts.
pub(super) const ABOVE_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of each part but the last. S3 wants 5 MiB at least, and 10,000 parts at most.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts of an object that are under way at a time.
const PARTS_AT_A_TIME: usize = 3;

/// An upload that S3 has been told of. Dropped before it is completed, it is aborted.
struct Upload {
    client: Client,
    bucket: String,
    key: String,
    id: Option<String>,
}

pub(super) async fn put(client: &Client, object: Object) -> Result<(), SinkError> {
    abort_leftovers(client, &object).await;
    let created = client
        .create_multipart_upload()
        .bucket(&object.bucket)
        .key(&object.key)
        .content_type(CONTENT_TYPE)
        .set_content_encoding(object.content_encoding.map(str::to_owned))
        .send()
        .await
        .map_err(explain)?;
    let Some(id) = created.upload_id else {
        return Err(SinkError::Unavailable("the store gave a multipart upload no id".into()));
    };
    let upload = Upload { client: client.clone(), bucket: object.bucket, key: object.key, id: Some(id.clone()) };
    let outcome = match upload.parts(&id, &object.body).await {
        Ok(parts) => upload.complete(&id, parts).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => upload.keep(),
        Err(_) => upload.abort(&id).await,
    }
    outcome
}

impl Upload {
    async fn parts(&self, id: &str, body: &Bytes) -> Result<Vec<CompletedPart>, SinkError> {
        let mut under_way = JoinSet::new();
        let done = self.parts_by(&mut under_way, id, body).await;
        // A part that is still on its way when the upload is aborted might stay.
        under_way.shutdown().await;
        done
    }

    async fn parts_by(
        &self,
        under_way: &mut JoinSet<(i32, Result<Option<String>, SinkError>)>,
        id: &str,
        body: &Bytes,
    ) -> Result<Vec<CompletedPart>, SinkError> {
        let mut rest = body.clone();
        let mut number = 0;
        let mut done = Vec::new();
        loop {
            while !rest.is_empty() && under_way.len() < PARTS_AT_A_TIME {
                number += 1;
                let part = rest.split_to(rest.len().min(PART_BYTES));
                let request = self.client.upload_part().bucket(&self.bucket).key(&self.key).upload_id(id);
                let request = request.part_number(number).body(ByteStream::from(part));
                let sent = async move { request.send().await.map(|part| part.e_tag).map_err(explain) };
                under_way.spawn(async move { (number, sent.await) });
            }
            let Some(joined) = under_way.join_next().await else { break };
            let (number, tag) = joined.map_err(|error| SinkError::Unavailable(error.to_string()))?;
            done.push(CompletedPart::builder().part_number(number).set_e_tag(tag?).build());
        }
        done.sort_by_key(CompletedPart::part_number);
        Ok(done)
    }

    async fn complete(&self, id: &str, parts: Vec<CompletedPart>) -> Result<(), SinkError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(&self.key).upload_id(id);
        request.multipart_upload(parts).send().await.map(drop).map_err(explain)
    }

    /// There is nothing to abort any more.
    fn keep(mut self) {
        self.id = None;
    }

    /// A failure is not an answer to anybody: the next attempt aborts again. The completion may have succeeded although
    /// its answer was lost; then there is no such upload.
    async fn abort(mut self, id: &str) {
        abort(&self.client, &self.bucket, &self.key, id).await;
        self.id = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else { return };
        let (client, bucket, key) = (self.client.clone(), self.bucket.clone(), self.key.clone());
        runtime.spawn(async move { abort(&client, &bucket, &key, &id).await });
    }
}

async fn abort(client: &Client, bucket: &str, key: &str, id: &str) {
    let request = client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id);
    if let Err(error) = request.send().await.map_err(explain) {
        tracing::debug!(bucket, key, %error, "a multipart upload was not aborted");
    }
}

/// Aborts uploads under this key. Not all stores can list them, and not everybody may: then they stay.
async fn abort_leftovers(client: &Client, object: &Object) {
    let (bucket, key) = (&object.bucket, &object.key);
    let listed = match client.list_multipart_uploads().bucket(bucket).prefix(key).send().await {
        Ok(listed) => listed,
        Err(error) => {
            let error = explain(error);
            tracing::debug!(bucket, key, %error, "multipart uploads cannot be listed");
            return;
        }
    };
    for upload in listed.uploads.unwrap_or_default() {
        if upload.key.as_ref() == Some(key)
            && let Some(id) = &upload.upload_id
        {
            tracing::info!(bucket, key, "aborting a multipart upload that was never finished");
            abort(client, bucket, key, id).await;
        }
    }
}
