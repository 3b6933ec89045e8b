// The AWS SDK for Go, version 2, as an adapter of the conformance suite (conformance/README.md): JSON lines on stdin and
// stdout. Calls are found and structures filled by reflection.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The code of everything that is not an error of the service.
const notTheService = "ClientError"

// The HTTP status under which a stream of events runs, and fails.
const streaming = 200

type request struct {
	ID      json.Number    `json:"id"`
	Service string         `json:"service"`
	Op      string         `json:"op"`
	In      map[string]any `json:"in"`
	Events  int            `json:"events"`
	Seconds float64        `json:"seconds"`
}

type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Status  int    `json:"status"`
}

// unknown is the error of an operation or a member that the SDK does not have.
type unknown string

func (what unknown) Error() string { return string(what) }

func main() {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(1))
	if err != nil {
		log.Fatal(err)
	}
	client := kinesis.NewFromConfig(settings, func(options *kinesis.Options) {
		options.HTTPClient = ownBody{options.HTTPClient}
	})
	services := map[string]any{"kinesis": client, "firehose": firehose.NewFromConfig(settings)}
	if err := serve(ctx, services, os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// ownBody keeps the request's body open. The SDK closes it as soon as it has the head of the answer; if net/http has sent
// it by then, but not looked for its end yet, net/http takes that for a failure and closes the connection, and a stream
// of events with it. A server on the same machine is fast enough for that.
type ownBody struct{ kinesis.HTTPClient }

func (client ownBody) Do(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	sent := request.Clone(request.Context())
	sent.Body = io.NopCloser(bytes.NewReader(body))
	return client.HTTPClient.Do(sent)
}

func serve(ctx context.Context, services map[string]any, from io.Reader, to io.Writer) error {
	requests := json.NewDecoder(bufio.NewReader(from))
	requests.UseNumber()
	answers := json.NewEncoder(to)
	answers.SetEscapeHTML(false)
	for {
		var asked request
		if err := requests.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(answerTo(ctx, services[asked.Service], &asked)); err != nil {
			return err
		}
	}
}

func answerTo(ctx context.Context, client any, asked *request) map[string]any {
	out, err := call(ctx, client, asked)
	var absent unknown
	switch {
	case err == nil:
		return map[string]any{"id": asked.ID, "out": out}
	case errors.As(err, &absent):
		return map[string]any{"id": asked.ID, "unknown": string(absent)}
	default:
		return map[string]any{"id": asked.ID, "error": refusalOf(err, 0)}
	}
}

func call(ctx context.Context, client any, asked *request) (map[string]any, error) {
	method := reflect.ValueOf(client).MethodByName(asked.Op)
	// Every operation is func(context, *OperationInput, ...option) (*OperationOutput, error).
	if !method.IsValid() || method.Type().NumIn() != 3 {
		return nil, unknown("the SDK has no operation " + asked.Op)
	}
	input := reflect.New(method.Type().In(1).Elem())
	if err := fill(input.Elem(), asked.In, asked.Op); err != nil {
		return nil, err
	}
	if subscription, ok := input.Interface().(*kinesis.SubscribeToShardInput); ok {
		return subscribe(ctx, client.(*kinesis.Client), subscription, asked)
	}
	returned := method.Call([]reflect.Value{reflect.ValueOf(ctx), input})
	if err, failed := returned[1].Interface().(error); failed {
		return nil, err
	}
	return members(returned[0].Elem()), nil
}

// status is that of an error that came without an HTTP response of its own.
func refusalOf(err error, status int) *refusal {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	var refused smithy.APIError
	if status != 0 && errors.As(err, &refused) {
		return &refusal{Code: refused.ErrorCode(), Message: refused.ErrorMessage(), Status: status}
	}
	fmt.Fprintln(os.Stderr, err)
	return &refusal{Code: notTheService, Message: err.Error()}
}
