// A registry of peers in memory, for tests.
import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { GetCallerResponseSchema } from "../../gen/heimdallr/access/v1/access_service_pb";
import type { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { DeidProjectService } from "../../gen/heimdallr/deid/v1/project_service_pb";
import { DicomWebClientService } from "../../gen/heimdallr/dicomweb/v1/dicomweb_client_service_pb";
import { DimseService } from "../../gen/heimdallr/dimse/v1/dimse_service_pb";
import {
  type CreatePeerRequest,
  type Peer,
  PeerSchema,
  PeersService,
  PeerSpecSchema,
  PeerTestSchema,
  TrustZone,
  type UpdatePeerRequest,
} from "../../gen/heimdallr/peers/v1/peers_service_pb";
import { Session } from "../../session/session.svelte";

export function peerId(n: number): string {
  return `01a1fe91-66c6-71ab-8cc9-${String(n).padStart(12, "0")}`;
}

export function makePeer(n: number, values: MessageInitShape<typeof PeerSchema> = {}): Peer {
  const peer = create(PeerSchema, values);
  peer.peerId = peerId(n);
  peer.spec ??= create(PeerSpecSchema, {
    name: `PACS ${n}`,
    trustZone: TrustZone.INSIDE,
    dimse: { aeTitle: `PACS${n}`, host: "10.0.0.1", port: 104, transferSyntaxUids: ["1.2.840.10008.1.2.1"] },
  });
  return peer;
}

/** An error as our servers send it: `google.rpc.ErrorInfo` with a reason and metadata. */
export function typedError(code: Code, reason: string, metadata: Readonly<Record<string, string>>): ConnectError {
  const error = new ConnectError("refused", code);
  const entries = Object.entries(metadata).flatMap((pair) => message(3, pair.flatMap((text, nth) => message(nth + 1, bytesOf(text)))));
  const value = Uint8Array.from([...message(1, bytesOf(reason)), ...entries]);
  error.details = [{ type: "google.rpc.ErrorInfo", value }];
  return error;
}

function bytesOf(text: string): number[] {
  return [...new TextEncoder().encode(text)];
}

function message(field: number, content: readonly number[]): number[] {
  return [(field << 3) | 2, content.length, ...content];
}

export class Registry {
  peers: Peer[] = [];
  projects: readonly { projectId: string; name: string }[] = [];
  failure: ConnectError | undefined;
  answers = true;
  readonly created: CreatePeerRequest[] = [];
  readonly updated: UpdatePeerRequest[] = [];
  readonly asked: string[] = [];

  get transport(): Transport {
    return createRouterTransport(({ service }) => {
      service(DeidProjectService, { listProjects: () => ({ projects: [...this.projects] }) });
      service(PeersService, {
        listPeers: () => ({ peers: this.peers }),
        createPeer: (request) => {
          if (this.failure) throw this.failure;
          this.created.push(request);
          this.peers = [...this.peers, makePeer(9, request.spec ? { spec: request.spec } : {})];
          return {};
        },
        updatePeer: (request) => {
          if (this.failure) throw this.failure;
          this.updated.push(request);
          return {};
        },
        deletePeer: ({ peerId: id }) => {
          this.asked.push(`delete ${id}`);
          this.peers = this.peers.filter((peer) => peer.peerId !== id);
          return {};
        },
      });
      service(DimseService, {
        echoPeer: ({ peer }) => this.#tested("echo", peer.value ?? ""),
      });
      service(DicomWebClientService, { testPeer: ({ peer }) => this.#tested("dicomweb", peer.value ?? "") });
    });
  }

  #tested(kind: string, id: string) {
    this.asked.push(`${kind} ${id}`);
    const text = this.answers ? "it answers" : "no connection";
    this.peers = this.peers.map((peer) => {
      const copy = clone(PeerSchema, peer);
      if (copy.peerId === id) copy.tests = [create(PeerTestSchema, { kind, succeeded: this.answers, text, time: timestampNow(), durationMs: 12 })];
      return copy;
    });
    return { succeeded: this.answers, text };
  }
}

/** A session of somebody who may do this. */
export function sessionOf(...permissions: Permission[]): Session {
  const session = new Session();
  session.caller = create(GetCallerResponseSchema, { permissions });
  return session;
}
