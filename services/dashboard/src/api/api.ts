// One client a service, made once and handed down by context.
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { getContext, setContext } from "svelte";
import { AccessService } from "../gen/heimdallr/access/v1/access_service_pb";
import { ArchiveService } from "../gen/heimdallr/archive/v1/archive_service_pb";
import { EventsService } from "../gen/heimdallr/events/v1/events_service_pb";
import { OperationsService } from "../gen/heimdallr/operations/v1/operations_service_pb";
import { CompletenessService } from "../gen/heimdallr/workflow/v1/completeness_service_pb";
import { WorkflowService } from "../gen/heimdallr/workflow/v1/workflow_service_pb";

export interface Api {
  readonly access: Client<typeof AccessService>;
  readonly archive: Client<typeof ArchiveService>;
  readonly completeness: Client<typeof CompletenessService>;
  readonly events: Client<typeof EventsService>;
  readonly operations: Client<typeof OperationsService>;
  readonly workflow: Client<typeof WorkflowService>;
  /** A client of a service that only some pages need; their bundles bring its contract. */
  readonly client: <Service extends DescService>(service: Service) => Client<Service>;
}

const KEY = Symbol("api");

export function createApi(transport: Transport): Api {
  return {
    access: createClient(AccessService, transport),
    archive: createClient(ArchiveService, transport),
    completeness: createClient(CompletenessService, transport),
    events: createClient(EventsService, transport),
    operations: createClient(OperationsService, transport),
    workflow: createClient(WorkflowService, transport),
    client: (service) => createClient(service, transport),
  };
}

/** Makes the clients known to every component below. */
export function provideApi(api: Api): void {
  setContext(KEY, api);
}

/** The clients that a component above provided. */
export function useApi(): Api {
  const api = getContext<Api | undefined>(KEY);
  if (api === undefined) throw new Error("no api was provided");
  return api;
}
