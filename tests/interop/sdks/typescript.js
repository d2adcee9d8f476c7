/*
 * SPDX-License-Identifier: MIT
 *
 * Performs the operations of check_sdks.py with Hatchet's TypeScript SDK, instrumented by its own
 * instrumentor: reads the name of an operation, performs it, sends its spans, answers.
 *
 *     node typescript.js INPUTS.json
 *
 * Tasks go through the SDK's InternalWorker, which gets what the dispatcher sends. The instrumentor
 * nests nothing and sends no trace context by itself: its user has to install a context manager and
 * a propagator, as is done here.
 */
'use strict';

const { AsyncResource } = require('node:async_hooks');
const { readFileSync } = require('node:fs');
const readline = require('node:readline');

// The SDK's logger writes to the standard output: that is for the answers.
const answer = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
console.log = console.error;
console.info = console.error;

const { context, propagation, trace } = require('@opentelemetry/api');
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks');
const { W3CTraceContextPropagator } = require('@opentelemetry/core');
const { HatchetInstrumentor } = require('@hatchet-dev/typescript-sdk/opentelemetry');

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const flag = 'HATCHET_CLIENT_OPENTELEMETRY_INDIVIDUAL_RUN_SPANS_FOR_BULK_RUN';
const instrumentor = new HatchetInstrumentor({
    individualRunSpansForBulkRun: process.env[flag] === 'true',
});
instrumentor.enable();

const { HatchetClient } = require('@hatchet-dev/typescript-sdk/v1');
const {
    InternalWorker,
} = require('@hatchet-dev/typescript-sdk/v1/client/worker/worker-internal');
const { ActionType } = require('@hatchet-dev/typescript-sdk/protoc/dispatcher');

const inputs = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const metadata = JSON.parse(inputs.metadata);
const payload = JSON.parse(inputs.payload);
const hatchet = HatchetClient.init();
const provider = trace.getTracerProvider().getDelegate();
const tracer = trace.getTracer('caller');
const worker = new InternalWorker(hatchet, { name: 'worker' });
worker.workerId = inputs.worker_id;

let does; // what the task's function awaits
for (const name of ['charge', 'approve']) {
    worker.action_registry[`${inputs.workflow_name}:${name}`] = (given) => does(given);
}
worker.durable_action_set.add(`${inputs.workflow_name}:approve`);

// ---- tasks ----

function action(special) {
    const name = special.name || 'charge';
    return {
        key: `${inputs.step_run_id}/${special.retryCount || 0}`,
        tenantId: inputs.tenant_id,
        workflowRunId: inputs.workflow_run_id,
        getGroupKeyRunId: '',
        jobId: inputs.workflow_id,
        jobName: inputs.step_name, // as the engine fills it
        jobRunId: inputs.workflow_run_id,
        taskId: inputs.step_id,
        taskRunExternalId: inputs.step_run_id,
        actionId: `${inputs.workflow_name}:${name}`,
        actionType: ActionType.START_STEP_RUN,
        actionPayload: inputs.task_payload,
        taskName: name,
        retryCount: 0,
        additionalMetadata: inputs.task_metadata,
        childWorkflowIndex: 0,
        childWorkflowKey: inputs.child_key,
        parentWorkflowRunId: inputs.parent_workflow_run_id,
        priority: 1,
        workflowId: inputs.workflow_id,
        workflowVersionId: inputs.workflow_version_id,
        triggeringEventExternalId: inputs.event_id,
        triggeringEventKey: inputs.event_key,
        ...special,
    };
}

/**
 * In an asynchronous context of its own: the instrumentor leaves the attributes of a task in the
 * one in which it gets it.
 */
function aside(body) {
    return new AsyncResource('operation').runInAsyncScope(body);
}

function task(body, special = {}) {
    return async () => {
        does = body;
        await worker.handleAction(action(special));
    };
}

class ValueError extends Error {
    constructor(message) {
        super(message);
        this.name = 'ValueError';
    }
}

async function cancelled() {
    let started;
    const running = new Promise((resolve) => {
        started = resolve;
    });
    does = (given) =>
        new Promise((resolve, reject) => {
            given.abortController.signal.addEventListener('abort', () =>
                reject(given.abortController.signal.reason)
            );
            started();
        });
    const run = aside(() => worker.handleAction(action({})));
    await running;
    await aside(() => worker.handleAction(action({ actionType: ActionType.CANCEL_STEP_RUN })));
    await run;
}

// ---- operations ----

/** A call in a span of the program's own. */
function called(call) {
    return () =>
        tracer.startActiveSpan('caller', async (span) => {
            await call().catch(() => undefined);
            span.end();
        });
}

const run = called(() =>
    hatchet.admin.runWorkflow(inputs.workflow_name, payload, {
        parentId: inputs.parent_id,
        parentStepRunId: inputs.parent_step_run_id,
        childIndex: 0,
        childKey: inputs.child_key,
        additionalMetadata: metadata,
        priority: 2,
        desiredWorkerId: inputs.worker_id,
        sticky: true,
    })
);

const runs = called(() =>
    hatchet.admin.runWorkflows(
        ['workflow_name', 'other_workflow_name', 'workflow_name'].map((name) => ({
            workflowName: inputs[name],
            input: payload,
            options: { additionalMetadata: metadata },
        }))
    )
);

const operations = {
    task: task(async () => ({})),
    'task that fails': task(async () => {
        throw new ValueError(inputs.failure);
    }),
    'task tried again': task(async () => ({}), { retryCount: 1, childWorkflowIndex: 3 }),
    'task that is cancelled': cancelled,
    run,
    'run that is refused': run,
    runs,
    'runs with spans of their own': runs,
    schedule: called(() =>
        hatchet.schedules.create(inputs.workflow_name, {
            triggerAt: new Date(inputs.run_at),
            input: payload,
            additionalMetadata: metadata,
            priority: 2,
        })
    ),
    event: called(() =>
        hatchet.events.push(inputs.event_key, payload, {
            additionalMetadata: metadata,
            priority: 2,
            scope: inputs.scope,
        })
    ),
    // One call takes events of one key.
    events: called(() =>
        hatchet.events.bulkPush(
            inputs.event_key,
            [1, 2, 3].map(() => ({ payload, additionalMetadata: metadata }))
        )
    ),
    wait: task((given) => given.waitFor({ sleepFor: '1s' }), { name: 'approve' }),
    child: task((given) => given.runNoWaitChild(inputs.other_workflow_name, payload)),
    'event in a task': task(() => hatchet.events.push(inputs.event_key, {})),
};

async function main() {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        await aside(operations[line]);
        await provider.forceFlush();
        answer('done\n');
    }
    process.exit(0);
}

main();
