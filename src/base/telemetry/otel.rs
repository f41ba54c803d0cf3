//! Traces for OpenTelemetry: each call is a span with its stages below it, in the trace of its client.
//!
//! On when the program is built with the feature `otel` and one of OpenTelemetry's own variables names a collector
//! (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`). Protocol, headers, service name, sampling and batches are set by its
//! others. That traces cannot be sent is a warning in the log.

use std::env;
use std::time::Duration;

use b3scale_middleware::Trace;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::net::tls::{self, CaFileError, Connector};

/// Where a collector is named.
const COLLECTORS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// How long a connection to a collector may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a collector may take for one export.
const LIMIT: Duration = Duration::from_secs(10);

/// The most bytes of its answer.
const LARGEST_ANSWER: usize = 1 << 20;

/// Sends the remaining spans when it is dropped.
pub(super) struct Exporter(SdkTracerProvider);

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "Sending the last traces failed");
        }
    }
}

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// A variable of OpenTelemetry's cannot be used.
    #[error("one of the variables OTEL_EXPORTER_OTLP_… cannot be used: {0}")]
    Setting(#[from] ExporterBuildError),
    /// No secure connection can be had.
    #[error("{0}")]
    Trust(#[from] CaFileError),
}

/// Takes spans, and sends them from a thread of its own. `None`: traces are not exported.
pub(super) fn layer<S>() -> Result<Option<(impl Layer<S>, Exporter)>, ExportError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if !COLLECTORS.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_http().with_http_client(Sender::new()?).build()?;
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let resource =
        if env::var_os("OTEL_SERVICE_NAME").is_some() { resource } else { resource.with_service_name("b3scaled") };
    let provider = SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
    // Events are for the log: a fault's text names nodes.
    let ours = |meta: &Metadata<'_>| meta.is_span() && meta.target().starts_with("b3scale");
    let ours = filter_fn(ours).with_max_level_hint(LevelFilter::DEBUG);
    let layer = OpenTelemetryLayer::new(provider.tracer("b3scale")).with_location(false).with_threads(false);
    Ok(Some((layer.with_filter(ours), Exporter(provider))))
}

/// Puts the span of a call into the trace of its client, and gives the place that it has there. `None`: it is not recorded.
pub(super) fn place(span: &Span, client: Option<&Trace>) -> Option<Trace> {
    if let Some(client) = client {
        let flags = TraceFlags::new(client.flags);
        let (trace, caller) = (TraceId::from(client.trace_id), SpanId::from(client.caller));
        let caller = SpanContext::new(trace, caller, flags, true, TraceState::default());
        span.set_parent(Context::new().with_remote_span_context(caller)).ok()?;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| {
        let trace_id = u128::from_be_bytes(context.trace_id().to_bytes());
        let span_id = u64::from_be_bytes(context.span_id().to_bytes());
        Trace::below(client, trace_id, span_id, context.trace_flags().to_u8())
    })
}

/// Carries traces to the collector. The thread that sends them has no runtime, so the server's does the work.
#[derive(Debug)]
struct Sender {
    client: Client<Connector, Full<Bytes>>,
    runtime: Handle,
}

impl Sender {
    /// For the runtime that this is called on.
    fn new() -> Result<Self, CaFileError> {
        let client = Client::builder(TokioExecutor::new()).build(tls::connector(None, CONNECT_LIMIT)?);
        Ok(Self { client, runtime: Handle::current() })
    }
}

/// As `async-trait` writes it, which the trait asks for.
impl HttpClient for Sender {
    fn send_bytes<'s, 'f>(&'s self, request: Request<Bytes>) -> BoxFuture<'f, Result<Response<Bytes>, HttpError>>
    where
        's: 'f,
        Self: 'f,
    {
        let client = self.client.clone();
        let exchange = async move {
            let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await?;
            Ok::<_, HttpError>(Response::from_parts(head, body.to_bytes()))
        };
        // The exporter has no timeout of its own; one request that hangs would stop all exports.
        let sent = self.runtime.spawn(async move { timeout(LIMIT, exchange).await });
        Box::pin(async move { sent.await?? })
    }
}
