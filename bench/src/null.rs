//! The null yardstick: what hyper alone can do. It reads every body to its end and answers with as many bytes as
//! the real server does, and nothing in between.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::Result;

/// Options of the null server.
#[derive(Args, Clone, Debug)]
pub(crate) struct NullArgs {
    /// Bytes of the body of every answer.
    #[arg(long)]
    reply_bytes: usize,
}

/// Serves on a free port of the loopback address until killed; tells the address on stdout.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn run(args: &NullArgs) -> Result<()> {
    let reply = Bytes::from(vec![b' '; args.reply_bytes]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("null ready http://{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream, reply.clone()));
        }
    })
}

async fn serve(stream: TcpStream, reply: Bytes) {
    let service = service_fn(move |request| answer(request, reply.clone()));
    // A client that goes away ends its connection with an error; that is nobody's failure.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, reply: Bytes) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let mut response = Response::new(Full::new(reply));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-amz-json-1.1"));
    Ok(response)
}
