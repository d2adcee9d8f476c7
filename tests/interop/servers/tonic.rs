// SPDX-License-Identifier: MIT
//! An OTLP trace receiver on tonic: appends each request, after its length, to a file.
//! Arguments are NAME=VALUE; grpc_peers.py lists them.

use bytes::{Buf, BufMut, Bytes};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// Messages as they are.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;
    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[derive(Clone)]
struct Export {
    record: Arc<Mutex<File>>,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;
    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        let mut line = (message.len() as u32).to_be_bytes().to_vec();
        line.extend_from_slice(&message);
        self.record.lock().unwrap().write_all(&line).expect("record");
        std::future::ready(Ok(Response::new(Bytes::new())))
    }
}

impl NamedService for Export {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl tower_service::Service<http::Request<Body>> for Export {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let export = self.clone();
        Box::pin(async move {
            if request.uri().path() != format!("/{}/Export", Self::NAME) {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let mut grpc = Grpc::new(Raw)
                .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
                .max_decoding_message_size(64 << 20);
            Ok(grpc.unary(export, request).await)
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.split_once('=').map(|(n, v)| (n.into(), v.into())))
        .collect();
    let number = |name: &str| given.get(name).map(|text| text.parse::<u32>().expect("a number"));
    let read = |name: &str| given.get(name).map(|path| std::fs::read(path).expect(path));

    let mut server = Server::builder()
        .initial_stream_window_size(number("window"))
        .initial_connection_window_size(number("window"))
        .max_frame_size(number("frame"));
    if let Some(age) = number("age_ms") {
        server = server.max_connection_age(Duration::from_millis(age.into()));
    }
    if let (Some(certificate), Some(key)) = (read("cert"), read("key")) {
        let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        if let Some(ca) = read("ca") {
            tls = tls.client_ca_root(Certificate::from_pem(ca));
        }
        server = server.tls_config(tls)?;
    }
    let record = OpenOptions::new().create(true).append(true).open(&given["record"])?;
    let listener = tokio::net::TcpListener::bind((
        "127.0.0.1",
        number("port").unwrap_or(0).try_into()?,
    ))
    .await?;
    println!("port {}", listener.local_addr()?.port());
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    server
        .add_service(Export { record: Arc::new(Mutex::new(record)) })
        .serve_with_incoming_shutdown(
            tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true)),
            async move {
                term.recv().await;
            },
        )
        .await?;
    Ok(())
}
