// The OpenTelemetry collector's receivers of Firehose's HTTP endpoint requests and of Splunk's HTTP event collector, without
// the rest of a collector: what they receive is written to stdout, one JSON line for each record.
//
//	receivers FIREHOSE_PORT SPLUNK_PORT TLS_PORT CERTIFICATE KEY
//
// They listen on 127.0.0.1, the first of them a second time with TLS. The line `ready` says that they do; the program ends when stdin does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"sync"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/ackextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/awsfirehosereceiver"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/splunkhecreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

// accessKey is what Firehose's requests have to carry.
const accessKey = "an access key"

var (
	rawType = component.MustNewType("raw")
	ackType = component.MustNewType("ack")
)

// host is what the receivers ask for their extensions.
type host map[component.ID]component.Component

func (extensions host) GetExtensions() map[component.ID]component.Component { return extensions }

// raw is an encoding that takes every record as it is.
type raw struct{}

func (raw) Start(context.Context, component.Host) error { return nil }
func (raw) Shutdown(context.Context) error              { return nil }

func (raw) UnmarshalLogs(record []byte) (plog.Logs, error) {
	logs := plog.NewLogs()
	body := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body()
	body.SetEmptyBytes().FromRaw(record)
	return logs, nil
}

// seen is one line of the output. A body of bytes is in base64.
type seen struct {
	Receiver string         `json:"receiver"`
	Body     any            `json:"body"`
	Record   map[string]any `json:"record"`
	Resource map[string]any `json:"resource"`
}

// printer writes what it consumes; the answer to a request is sent after its records are written.
type printer struct {
	mutex sync.Mutex
	to    io.Writer
}

func (out *printer) of(receiver string) consumer.Logs {
	consume := func(_ context.Context, logs plog.Logs) error {
		out.mutex.Lock()
		defer out.mutex.Unlock()
		lines := json.NewEncoder(out.to)
		for _, resource := range logs.ResourceLogs().All() {
			for _, scope := range resource.ScopeLogs().All() {
				for _, record := range scope.LogRecords().All() {
					line := seen{receiver, record.Body().AsRaw(), record.Attributes().AsRaw(), resource.Resource().Attributes().AsRaw()}
					if err := lines.Encode(line); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	made, err := consumer.NewLogs(consume)
	if err != nil {
		log.Fatal(err)
	}
	return made
}

func settings() component.TelemetrySettings {
	logger, err := zap.NewProduction()
	if err != nil {
		log.Fatal(err)
	}
	return component.TelemetrySettings{
		Logger: logger, MeterProvider: noop.NewMeterProvider(), TracerProvider: tracenoop.NewTracerProvider(),
	}
}

// start makes the receiver with what a collector's configuration file would say, and starts it.
func start(ctx context.Context, factory receiver.Factory, configured map[string]any, extensions host, to consumer.Logs) error {
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(configured).Unmarshal(config); err != nil {
		return err
	}
	made, err := factory.CreateLogs(ctx, receiver.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: settings()}, config, to)
	if err != nil {
		return err
	}
	return made.Start(ctx, extensions)
}

func run(firehose, splunk, secure, certificate, key string) error {
	ctx := context.Background()
	factory := ackextension.NewFactory()
	acknowledgements, err := factory.Create(
		ctx, extension.Settings{ID: component.NewID(ackType), TelemetrySettings: settings()}, factory.CreateDefaultConfig(),
	)
	if err != nil {
		return err
	}
	extensions := host{component.NewID(rawType): raw{}, component.NewID(ackType): acknowledgements}
	if err := acknowledgements.Start(ctx, extensions); err != nil {
		return err
	}
	out := &printer{to: os.Stdout}
	err = start(ctx, awsfirehosereceiver.NewFactory(), map[string]any{
		"endpoint": "127.0.0.1:" + firehose, "encoding": "raw", "access_key": accessKey,
	}, extensions, out.of("firehose"))
	if err != nil {
		return err
	}
	err = start(ctx, awsfirehosereceiver.NewFactory(), map[string]any{
		"endpoint": "127.0.0.1:" + secure, "encoding": "raw", "access_key": accessKey,
		"tls": map[string]any{"cert_file": certificate, "key_file": key},
	}, extensions, out.of("firehose-tls"))
	if err != nil {
		return err
	}
	err = start(ctx, splunkhecreceiver.NewFactory(), map[string]any{
		"endpoint": "127.0.0.1:" + splunk, "splitting": "none", "ack": map[string]any{"extension": "ack"},
	}, extensions, out.of("splunk"))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: receivers FIREHOSE_PORT SPLUNK_PORT TLS_PORT CERTIFICATE KEY")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		log.Fatal(err)
	}
}
