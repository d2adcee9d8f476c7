// SPDX-License-Identifier: MIT

// Performs the operations of check_sdks.py with Hatchet's Go SDK, instrumented by its own
// instrumentor: reads the name of an operation, performs it, sends its spans, answers.
//
//	golang INPUTS.json
//
// Tasks run in a worker of the SDK, to which the server assigns them. prepare.sh builds this with
// the go.mod of the SDK, whose versions of everything are then those that it is made with.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/hatchet-dev/hatchet/pkg/client"
	"github.com/hatchet-dev/hatchet/pkg/worker"
	hatchet "github.com/hatchet-dev/hatchet/sdks/go"
	"github.com/hatchet-dev/hatchet/sdks/go/features"
	hatchetotel "github.com/hatchet-dev/hatchet/sdks/go/opentelemetry"
)

type operation func(ctx context.Context) error

type program struct {
	answers  *os.File
	inputs   map[string]string
	metadata map[string]string
	payload  map[string]any
	client   *hatchet.Client
	bodies   chan func(ctx hatchet.Context) error // of the next task
	waits    chan func(ctx hatchet.DurableContext) error
	ended    chan bool // a task, with its span
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func object[V any](text string) map[string]V {
	value := map[string]V{}
	must(json.Unmarshal([]byte(text), &value))
	return value
}

// The SDK writes into the metadata that it is given.
func (p *program) copied() map[string]string {
	copied := map[string]string{}
	for key, value := range p.metadata {
		copied[key] = value
	}
	return copied
}

// ---- tasks ----

func (p *program) startWorker(instrumentor *hatchetotel.Instrumentor) {
	workflow := p.client.NewWorkflow(p.inputs["workflow_name"])
	workflow.NewTask("charge", func(ctx hatchet.Context, _ map[string]any) (map[string]any, error) {
		return map[string]any{}, (<-p.bodies)(ctx)
	})
	workflow.NewDurableTask("approve",
		func(ctx hatchet.DurableContext, _ map[string]any) (map[string]any, error) {
			return map[string]any{}, (<-p.waits)(ctx)
		})
	w, err := p.client.NewWorker("worker", hatchet.WithWorkflows(workflow))
	must(err)
	w.Use(func(ctx worker.HatchetContext, next func(worker.HatchetContext) error) error {
		err := next(ctx)
		p.ended <- true
		return err
	}, instrumentor.Middleware())
	_, err = w.Start()
	must(err)
}

func (p *program) task(body func(ctx hatchet.Context) error) operation {
	return func(context.Context) error {
		p.bodies <- body
		<-p.ended
		return nil
	}
}

func (p *program) wait(context.Context) error {
	p.waits <- func(ctx hatchet.DurableContext) error {
		_, err := ctx.WaitFor(hatchet.SleepCondition(time.Second))
		return err
	}
	<-p.ended
	return nil
}

// ---- operations ----

// A call in a span of the program's own.
func called(call operation) operation {
	return func(ctx context.Context) error {
		ctx, span := otel.Tracer("caller").Start(ctx, "caller")
		defer span.End()
		_ = call(ctx)
		return nil
	}
}

func (p *program) run(ctx context.Context) error {
	_, err := p.client.RunNoWait(ctx, p.inputs["workflow_name"], p.payload,
		hatchet.WithRunMetadata(p.copied()), hatchet.WithRunPriority(2),
		hatchet.WithRunSticky(true), hatchet.WithRunKey(p.inputs["key"]))
	return err
}

// One call takes runs of one workflow.
func (p *program) runs(ctx context.Context) error {
	run := func() hatchet.RunManyOpt {
		return hatchet.RunManyOpt{
			Input: p.payload,
			Opts:  []hatchet.RunOptFunc{hatchet.WithRunMetadata(p.copied())},
		}
	}
	_, err := p.client.RunMany(ctx, p.inputs["workflow_name"],
		[]hatchet.RunManyOpt{run(), run(), run()})
	return err
}

func (p *program) schedule(ctx context.Context) error {
	at, err := time.Parse(time.RFC3339Nano, p.inputs["run_at"])
	must(err)
	metadata := map[string]interface{}{}
	for key, value := range p.metadata {
		metadata[key] = value
	}
	priority := features.RunPriority(2)
	_, err = p.client.Schedules().Create(ctx, p.inputs["workflow_name"],
		features.CreateScheduledRunTrigger{
			TriggerAt:          at,
			Input:              p.payload,
			AdditionalMetadata: metadata,
			Priority:           &priority,
		})
	return err
}

func (p *program) event(ctx context.Context) error {
	priority, scope := int32(2), p.inputs["scope"]
	return p.client.Events().Push(ctx, p.inputs["event_key"], p.payload,
		client.WithEventMetadata(p.copied()), client.WithEventPriority(&priority),
		client.WithFilterScope(&scope))
}

func (p *program) events(ctx context.Context) error {
	var list []client.EventWithAdditionalMetadata
	for _, key := range []string{"event_key", "other_event_key", "event_key"} {
		list = append(list, client.EventWithAdditionalMetadata{
			Event:              p.payload,
			AdditionalMetadata: p.copied(),
			Key:                p.inputs[key],
		})
	}
	return p.client.Events().BulkPush(ctx, list)
}

func (p *program) operations() map[string]operation {
	return map[string]operation{
		"task": p.task(func(hatchet.Context) error { return nil }),
		"task that fails": p.task(func(hatchet.Context) error {
			return errors.New(p.inputs["failure"])
		}),
		"task tried again": p.task(func(hatchet.Context) error { return nil }),
		"task that is cancelled": p.task(func(ctx hatchet.Context) error {
			fmt.Fprintln(p.answers, "started")
			<-ctx.Done()
			return ctx.Err()
		}),
		"run":                          called(p.run),
		"run that is refused":          called(p.run),
		"runs":                         called(p.runs),
		"runs with spans of their own": called(p.runs),
		"schedule":                     called(p.schedule),
		"event":                        called(p.event),
		"events":                       called(p.events),
		"wait":                         p.wait,
		"child": p.task(func(ctx hatchet.Context) error {
			_, err := p.client.RunNoWait(ctx, p.inputs["other_workflow_name"], p.payload)
			return err
		}),
		"event in a task": p.task(func(ctx hatchet.Context) error {
			return p.client.Events().Push(ctx, p.inputs["event_key"], map[string]any{})
		}),
	}
}

func main() {
	content, err := os.ReadFile(os.Args[1])
	must(err)
	inputs := object[string](string(content))
	p := &program{
		answers:  os.Stdout,
		inputs:   inputs,
		metadata: object[string](inputs["metadata"]),
		payload:  object[any](inputs["payload"]),
		bodies:   make(chan func(ctx hatchet.Context) error),
		waits:    make(chan func(ctx hatchet.DurableContext) error),
		ended:    make(chan bool),
	}
	os.Stdout = os.Stderr // for what the SDK says
	p.client, err = hatchet.NewClient()
	must(err)
	instrumentor, err := hatchetotel.NewInstrumentor()
	must(err)
	p.startWorker(instrumentor)
	provider := instrumentor.TracerProvider().(*sdktrace.TracerProvider)
	operations := p.operations()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		must(operations[lines.Text()](context.Background()))
		must(provider.ForceFlush(context.Background()))
		fmt.Fprintln(p.answers, "done")
	}
	os.Exit(0)
}
