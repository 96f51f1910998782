// A mesh in memory for tests: real messages and clients, no network.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type ConnectRouter, createRouterTransport, type Transport } from "@connectrpc/connect";
import type { SessionEndpoint } from "../api/session-endpoint";
import { correlate, noticeExpiry } from "../api/transport";
import { AccessService, GetCallerResponseSchema } from "../gen/heimdallr/access/v1/access_service_pb";
import { ArchiveService, type Study, StudySchema, StudyState } from "../gen/heimdallr/archive/v1/archive_service_pb";
import { EventsService, type WatchEventsResponse } from "../gen/heimdallr/events/v1/events_service_pb";
import { WorkflowService } from "../gen/heimdallr/workflow/v1/workflow_service_pb";

const NOON = new Date("2026-03-04T12:00:00Z");

export function studyId(n: number): string {
  return `0192f0c4-7d3a-7a51-8c1e-${String(n).padStart(12, "0")}`;
}

export function makeStudy(n: number, values: MessageInitShape<typeof StudySchema> = {}): Study {
  return create(StudySchema, {
    studyId: studyId(n),
    patientName: `TEST^PATIENT ${n}`,
    patientId: `ID-${n}`,
    studyDescription: "CHEST CT",
    studyDate: "20260304",
    modalities: ["CT"],
    seriesCount: 1,
    instanceCount: 100,
    state: StudyState.READY,
    firstReceiveTime: timestampFromDate(NOON),
    lastReceiveTime: timestampFromDate(NOON),
    ...values,
  });
}

export const signedIn = create(GetCallerResponseSchema, {
  subject: "0192f0c4-0000-7000-8000-000000000001",
  user: { userId: "0192f0c4-0000-7000-8000-000000000001", name: "ana", enabled: true },
  hasPassword: true,
});

/** A queue that a test fills and a stream empties, until the caller leaves. */
export class Feed {
  #waiting: WatchEventsResponse[] = [];
  #wake: (() => void) | null = null;
  #ended = false;

  push(message: WatchEventsResponse): void {
    this.#waiting.push(message);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *read(signal: AbortSignal): AsyncGenerator<WatchEventsResponse> {
    signal.addEventListener("abort", () => this.#wake?.());
    while (!signal.aborted) {
      yield* this.#waiting.splice(0);
      if (this.#ended) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

type Register = (router: ConnectRouter) => void;

/** What a page needs at least: somebody signed in, no studies, a silent stream. */
export const quietMesh: Register = (router) => {
  router.service(AccessService, { getCaller: () => signedIn });
  router.service(ArchiveService, { listStudies: () => ({ studies: [] }) });
  router.service(WorkflowService, { getQueue: () => ({}), summarizeStudies: () => ({}) });
  router.service(EventsService, { watchEvents: (_request, context) => new Feed().read(context.signal) });
};

/** A transport over services in memory; what `register` serves goes before the quiet mesh. */
export function meshTransport(register: Register, onExpired: () => void = () => {}): Transport {
  const own = new Set<string>();
  return createRouterTransport(
    (router) => {
      register({ ...router, service: (type, implementation) => (own.add(type.typeName), router.service(type, implementation)) });
      quietMesh({
        ...router,
        service: (type, implementation) => (own.has(type.typeName) ? router : router.service(type, implementation)),
      });
    },
    { transport: { interceptors: [noticeExpiry(onExpired), correlate] } },
  );
}

export const noEndpoint: SessionEndpoint = {
  begin: () => Promise.resolve(),
  renew: () => Promise.resolve(),
  end: () => Promise.resolve(),
};
