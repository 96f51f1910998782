// What a person fills in of a peer, as messages and back. Credentials go one way: out.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type DicomWebAddress,
  type DimseAddress,
  type Peer,
  type PeerCredentials,
  PeerCredentialsSchema,
  type PeerSpec,
  PeerSpecSchema,
  TrustZone,
} from "../../gen/heimdallr/peers/v1/peers_service_pb";
import type { PeersKey } from "../../i18n/peers.en";

export type Zone = "" | "inside" | "outside";

export interface PeerForm {
  name: string;
  zone: Zone;
  description: string;
  dimse: boolean;
  aeTitle: string;
  host: string;
  port: string;
  calling: string;
  tls: boolean;
  dimseCa: string;
  moveDestination: boolean;
  /** Project whose released copies a peer outside gets; empty for none. */
  deidProject: string;
  web: boolean;
  url: string;
  webCa: string;
  /** Whether what is kept is replaced by what follows. */
  replace: boolean;
  userName: string;
  password: string;
  bearerToken: string;
  certificate: string;
  key: string;
}

/** Problems by the path of the field in the request. */
export type Problems = Readonly<Record<string, PeersKey>>;

const ZONES: Readonly<Record<TrustZone, Zone>> = {
  [TrustZone.UNSPECIFIED]: "",
  [TrustZone.INSIDE]: "inside",
  [TrustZone.OUTSIDE]: "outside",
};

export function zoneOf(spec: PeerSpec | undefined): Zone {
  return ZONES[spec?.trustZone ?? TrustZone.UNSPECIFIED] ?? "";
}

const NOTHING_SHOWN = { userName: "", password: "", bearerToken: "", certificate: "", key: "" };

/** The form of a new peer: its zone has to be chosen. */
export function emptyForm(): PeerForm {
  return { name: "", zone: "", description: "", ...dimseForm(), dimse: true, ...webForm(), moveDestination: false, deidProject: "", replace: true, ...NOTHING_SHOWN };
}

/** The form of a peer as it is registered. */
export function formOf(peer: Peer): PeerForm {
  const { spec } = peer;
  if (spec === undefined) return emptyForm();
  return {
    name: spec.name,
    zone: zoneOf(spec),
    description: spec.description,
    ...dimseForm(spec.dimse),
    ...webForm(spec.dicomweb),
    moveDestination: spec.moveDestination,
    deidProject: spec.deidProjectId,
    replace: !(peer.hasSecret || peer.hasCertificate),
    ...NOTHING_SHOWN,
  };
}

function dimseForm(dimse?: DimseAddress) {
  if (dimse === undefined) return { dimse: false, aeTitle: "", host: "", port: "104", calling: "", tls: false, dimseCa: "" };
  const { aeTitle, host, callingAeTitle: calling, tls, tlsCaPem: dimseCa } = dimse;
  return { dimse: true, aeTitle, host, port: String(dimse.port), calling, tls, dimseCa };
}

function webForm(web?: DicomWebAddress) {
  return { web: web !== undefined, url: web?.url ?? "", webCa: web?.tlsCaPem ?? "" };
}

/** What is wrong before anybody is asked. */
export function problemsOf(form: PeerForm): Problems {
  const checks: readonly (readonly [string, boolean, PeersKey])[] = [
    ["spec.name", form.name.trim() === "", "error.needed"],
    ["spec.trust_zone", form.zone === "", "error.zone"],
    ["spec.dimse", !form.dimse && !form.web, "error.protocol"],
    ["spec.dimse.ae_title", form.dimse && form.aeTitle.trim() === "", "error.needed"],
    ["spec.dimse.host", form.dimse && form.host.trim() === "", "error.needed"],
    ["spec.dimse.port", form.dimse && !isPort(form.port), "error.port"],
    ["spec.dicomweb.url", form.web && !/^https?:\/\/[^/]/.test(form.url.trim()), "error.url"],
  ];
  return Object.fromEntries(checks.filter(([, wrong]) => wrong).map(([field, , key]) => [field, key]));
}

/** What is to be registered. What the form does not show, such as transfer syntaxes, stays. */
export function specOf(form: PeerForm, before?: PeerSpec): PeerSpec {
  const values: MessageInitShape<typeof PeerSpecSchema> = {
    name: form.name.trim(),
    trustZone: form.zone === "inside" ? TrustZone.INSIDE : TrustZone.OUTSIDE,
    description: form.description,
    moveDestination: form.dimse && form.moveDestination,
    deidProjectId: form.zone === "outside" ? form.deidProject : "",
  };
  if (form.dimse) {
    values.dimse = {
      aeTitle: form.aeTitle.trim(),
      host: form.host.trim(),
      port: Number(form.port),
      callingAeTitle: form.calling.trim(),
      tls: form.tls,
      tlsCaPem: form.tls ? form.dimseCa : "",
      transferSyntaxUids: before?.dimse?.transferSyntaxUids ?? [],
    };
  }
  if (form.web) values.dicomweb = { url: form.url.trim(), tlsCaPem: form.webCa };
  return create(PeerSpecSchema, values);
}

/** What we show from now on; undefined leaves it as it is. */
export function credentialsOf(form: PeerForm): PeerCredentials | undefined {
  if (!form.replace) return undefined;
  return create(PeerCredentialsSchema, {
    userName: form.userName,
    password: form.password,
    bearerToken: form.bearerToken,
    tlsCertificatePem: form.certificate,
    tlsKeyPem: form.key,
  });
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text.trim()) && Number(text) >= 1 && Number(text) <= 65_535;
}
