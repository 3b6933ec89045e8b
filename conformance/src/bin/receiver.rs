//! A destination that misbehaves when it is told to (`levada_conformance::receiver`), as a process of its own:
//! `levada-receiver [HOST:PORT]`, by default on a free loopback port, which it prints.
#![allow(clippy::print_stdout, reason = "its interface is its output")]

use std::net::{Ipv4Addr, SocketAddr};

use levada_conformance::receiver::Receiver;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = match std::env::args().nth(1) {
        Some(listen) => listen.parse()?,
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    let receiver = Receiver::start(listen).await?;
    println!("receiver ready {}", receiver.url());
    // Until it is killed.
    std::future::pending().await
}
