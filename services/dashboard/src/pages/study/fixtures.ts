// A study for tests, and a server that has it.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";

import { GetCallerResponseSchema } from "../../gen/heimdallr/access/v1/access_service_pb";
import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { ArchiveService, type StudySchema, StudyState } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import { CompletenessService } from "../../gen/heimdallr/workflow/v1/completeness_service_pb";
import {
  type GetStudyResultsResponseSchema,
  StageState,
  type StudyWorkflowSchema,
  WorkflowService,
} from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { Session } from "../../session/session.svelte";

export const STUDY_ID = "01a1fe91-66c6-71ab-8cc9-5ddfcb0bb29e";
export const SERIES_ID = "01a1fe91-66c9-7122-8fc9-b9926af3ac73";

type Workflow = MessageInitShape<typeof StudyWorkflowSchema>;

/** What the server has, and what it was asked to do. */
export class Server {
  study: MessageInitShape<typeof StudySchema> = {
    studyId: STUDY_ID,
    patientName: "PHANTOM^CHEST",
    patientId: "PHANTOM-3",
    state: StudyState.HELD,
    instanceCount: 120,
    seriesCount: 1,
  };
  workflow: Workflow = {
    studyId: STUDY_ID,
    state: StudyState.HELD,
    generation: 1,
    priority: 2,
    stages: [
      { stageId: "stage-convert", name: "convert", state: StageState.DONE, generation: 1, correlationId: "work-7" },
      {
        stageId: "stage-analyze",
        name: "analyze:ct_tissue",
        state: StageState.HELD,
        generation: 1,
        dependsOnStageIds: ["stage-convert"],
        reason: { code: "MODEL_UNAVAILABLE", text: "The model server is not running." },
        attempts: [{ number: 1, attemptId: "attempt-1", worker: "coordinator-1", outcome: "failed", errorReason: "ERROR_REASON_MODEL_UNAVAILABLE" }],
      },
      { stageId: "stage-report", name: "report", state: StageState.PENDING, generation: 1, dependsOnStageIds: ["stage-analyze"] },
    ],
  };
  results: MessageInitShape<typeof GetStudyResultsResponseSchema> = { generation: 1 };
  failure: ConnectError | undefined;
  readonly asked: string[] = [];
  /** How often the stream was opened. */
  watches = 0;
  /** Called by the stream after its first message; the stream ends when it resolves. */
  hold: (send: (workflow: Workflow) => void, signal: AbortSignal) => Promise<void> = (_, signal) =>
    new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}

/** A transport that leads to a server. */
export function transportOf(server: Server): Transport {
  return createRouterTransport(({ service }) => {
    service(ArchiveService, {
      getStudy: () => ({
        study: server.study,
        series: [{ seriesId: SERIES_ID, modality: "CT", seriesNumber: 1, seriesDescription: "CHEST", instanceCount: 120 }],
      }),
      async *fetchResult() {
        yield { data: new Uint8Array([1]) };
      },
    });
    service(CompletenessService, {
      completeStudy: ({ studyId }) => {
        server.asked.push(`complete ${studyId}`);
        return {};
      },
    });
    service(WorkflowService, {
      async *watchStudyWorkflow(_, context) {
        server.watches += 1;
        if (server.failure) throw server.failure;
        yield { workflow: server.workflow };
        const queue: Workflow[] = [];
        await server.hold((workflow) => queue.push(workflow), context.signal);
        for (const workflow of queue) yield { workflow };
      },
      getStudyResults: () => server.results,
      replayStage: ({ stageId }) => {
        server.asked.push(`replay ${stageId}`);
        return {};
      },
      cancelStudy: () => {
        server.asked.push("cancel");
        return { stoppedCount: 1 };
      },
      setStudyPriority: ({ priority }) => {
        server.asked.push(`priority ${priority}`);
        return {};
      },
    });
  });
}

export function notFound(): ConnectError {
  return new ConnectError("no such study", Code.NotFound, { "x-correlation-id": "call-42" });
}

/** A session of somebody who may do this. */
export function sessionOf(...permissions: Permission[]): Session {
  const session = new Session();
  session.caller = create(GetCallerResponseSchema, { permissions });
  return session;
}
