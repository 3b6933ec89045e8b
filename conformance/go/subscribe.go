package main

import (
	"context"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// subscribe reads until it has as many events as were asked for, or their time is over, or the service ends the stream.
func subscribe(
	ctx context.Context, client *kinesis.Client, input *kinesis.SubscribeToShardInput, asked *request,
) (map[string]any, error) {
	subscribed, err := client.SubscribeToShard(ctx, input)
	if err != nil {
		return nil, err
	}
	stream := subscribed.GetStream()
	defer stream.Close()
	late := time.After(time.Duration(asked.Seconds * float64(time.Second)))
	events := []any{}
	out := map[string]any{"ended": false}
	for over := false; !over && len(events) < asked.Events; {
		select {
		case event, more := <-stream.Events():
			if !more {
				out["ended"], over = true, true
			} else if event, ok := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent); ok {
				events = append(events, members(reflect.ValueOf(event.Value)))
			}
		case <-late:
			over = true
		}
	}
	out["events"] = events
	if err := stream.Err(); err != nil {
		failure := refusalOf(err, streaming)
		out["error"] = map[string]any{"code": failure.Code, "message": failure.Message}
	}
	return out, nil
}
