// The services of de-identification in memory, for tests.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { GetCallerResponseSchema } from "../../gen/heimdallr/access/v1/access_service_pb";
import type { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { ArchiveService } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import { CrosswalkService, type Reidentification, ReidentificationSchema, ReidentificationState } from "../../gen/heimdallr/deid/v1/crosswalk_service_pb";
import { type CompareInstanceResponseSchema, DeidentificationService, PseudonymKind } from "../../gen/heimdallr/deid/v1/deidentification_service_pb";
import { ProfileOption, ProfilePreset, ProfileSchema } from "../../gen/heimdallr/deid/v1/profile_pb";
import { DeidProjectService, type Project, ProjectSchema, type ProjectSummarySchema } from "../../gen/heimdallr/deid/v1/project_service_pb";
import {
  type Deidentification,
  DeidentificationSchema,
  type DeidentifiedObject,
  DeidentifiedObjectSchema,
  Decision,
  DeidReviewService,
  ObjectState,
} from "../../gen/heimdallr/deid/v1/review_service_pb";
import { Session } from "../../session/session.svelte";

export function idOf(n: number): string {
  return `01a1fe91-66c6-71ab-8cc9-${String(n).padStart(12, "0")}`;
}

export function makeProject(n: number, values: MessageInitShape<typeof ProjectSchema> = {}): Project {
  const project = create(ProjectSchema, values);
  project.projectId = idOf(n);
  project.name ||= `trial-${n}`;
  project.profile ??= create(ProfileSchema, { preset: ProfilePreset.RESEARCH });
  project.twoPersons = values.twoPersons ?? true;
  return project;
}

export function makeObject(n: number, values: MessageInitShape<typeof DeidentifiedObjectSchema> = {}): DeidentifiedObject {
  const findings = [{ code: "PIXELS_NOT_READ", element: "", rule: "text may be drawn into the pixels" }];
  return create(DeidentifiedObjectSchema, { instanceId: idOf(100 + n), state: ObjectState.HELD, instanceNumber: n, findings, ...values });
}

export function makeSeries(n: number, values: MessageInitShape<typeof DeidentificationSchema> = {}): Deidentification {
  const ids = { deidentificationId: idOf(50 + n), projectId: idOf(1), studyId: idOf(7), seriesId: idOf(8) };
  return create(DeidentificationSchema, { ...ids, modality: "US", pseudonym: `PSEUDO-${n}`, heldCount: 2, ...values });
}

type Comparison = MessageInitShape<typeof CompareInstanceResponseSchema>;

/** A change as both sides show it; only who may reveals sees the value. */
export function comparisonOf(before: string): Comparison {
  return {
    changes: [{ element: "00400275[1].00081030", keyword: "StudyDescription", action: "C", rule: "Clean Descriptors", before, after: "CHEST" }],
    keptCount: 40,
  };
}

/** What the services have, and what they were asked to do. */
export class Desk {
  ocrEngine = "tesseract 5.3";
  projects: Project[] = [];
  summary: MessageInitShape<typeof ProjectSummarySchema> = { patientCount: 3n, releasedCount: 9n, heldCount: 2n, heldByCode: [{ code: "PIXELS_NOT_READ", count: 2n }] };
  series: Deidentification[] = [];
  objects: DeidentifiedObject[] = [];
  requests: Reidentification[] = [];
  /** Thrown by the next call that changes something. */
  failure: ConnectError | undefined;
  readonly saved: Project[] = [];
  readonly asked: string[] = [];

  get transport(): Transport {
    return createRouterTransport(({ service }) => {
      service(DeidentificationService, {
        describeTools: () => ({
          tableEdition: "PS3.15 2024e and 2026c",
          ocrEngine: this.ocrEngine,
          presets: [
            { preset: ProfilePreset.BASIC, options: [ProfileOption.CLEAN_PIXEL_DATA] },
            { preset: ProfilePreset.RESEARCH, options: [ProfileOption.CLEAN_PIXEL_DATA, ProfileOption.RETAIN_MODIFIED_DATES] },
          ],
        }),
      });
      service(DeidProjectService, {
        listProjects: () => ({ projects: this.projects }),
        getProject: ({ projectId }) => ({ project: this.projects.find((one) => one.projectId === projectId), summary: this.summary }),
        createProject: ({ project }) => ({ project: this.#save(project) }),
        updateProject: ({ project }) => ({ project: this.#save(project) }),
        rotateProjectKey: ({ projectId }) => {
          this.asked.push(`rotate ${projectId}`);
          return { keyVersion: 2 };
        },
      });
      service(DeidReviewService, {
        startDeidentification: ({ projectId, studyId }) => {
          this.#fail();
          this.asked.push(`start ${projectId} ${studyId}`);
          return { stageIds: [idOf(1), idOf(2)] };
        },
        listDeidentifications: ({ state }) => {
          this.asked.push(`list ${state}`);
          return { deidentifications: this.series };
        },
        getDeidentification: ({ state }) => ({
          deidentification: this.series[0],
          objects: this.objects.filter((one) => state === ObjectState.UNSPECIFIED || one.state === state),
        }),
        compareObject: () => ({ comparison: comparisonOf("••••••••") }),
        revealObject: ({ instanceId }) => {
          this.asked.push(`reveal ${instanceId}`);
          return { comparison: comparisonOf("CHEST DOE^JOHN") };
        },
        decideObject: ({ instanceId, decision, reason }) => {
          this.#fail();
          this.asked.push(`decide ${decision} ${reason}`);
          const state = decision === Decision.APPROVE ? ObjectState.APPROVED : ObjectState.REJECTED;
          const found = this.objects.find((one) => one.instanceId === instanceId);
          const object = makeObject(found?.instanceNumber ?? 0, { state, decidedBy: "ana", decisionReason: reason });
          this.objects = this.objects.map((one) => (one.instanceId === instanceId ? object : one));
          return { object };
        },
        addRule: ({ projectId, rule }) => {
          this.asked.push(`rule ${projectId} ${rule?.tag} ${rule?.action} ${rule?.reason}`);
          return { seriesCount: 1 };
        },
      });
      service(CrosswalkService, {
        listReidentifications: () => ({ reidentifications: this.requests }),
        requestReidentification: ({ projectId, kind, pseudonym, reason }) => {
          this.#fail();
          const made = makeRequest(9, { projectId, kind, pseudonym, reason, requestedBy: "ana" });
          this.requests = [made, ...this.requests];
          return { reidentification: made };
        },
        decideReidentification: ({ reidentificationId, agree }) => {
          this.asked.push(`agree ${agree}`);
          const state = agree ? ReidentificationState.AGREED : ReidentificationState.REFUSED;
          this.requests = this.requests.map((one) => (one.reidentificationId === reidentificationId ? { ...one, state } : one));
          return {};
        },
        reidentify: ({ reidentificationId }) => {
          this.asked.push(`tell ${reidentificationId}`);
          return { identity: { patientIdText: "ID-7", patientName: "DOE^JOHN", patientBirthDate: "19700102" } };
        },
      });
      service(ArchiveService, {
        listInstances: () => ({
          instances: this.objects.map(({ instanceId }) => ({
            instanceId,
            attributes: { studyInstanceUid: "1.2", seriesInstanceUid: "1.2.3", sopInstanceUid: `1.2.3.${instanceId.slice(-2)}`, rows: 480, columns: 640, numberOfFrames: 3 },
          })),
        }),
      });
    });
  }

  #fail(): void {
    if (this.failure) throw this.failure;
  }

  #save(project: Project | undefined): Project {
    this.#fail();
    const made = { ...makeProject(9), ...project, projectId: project?.projectId || idOf(9) };
    this.saved.push(made);
    this.projects = [...this.projects.filter((one) => one.projectId !== made.projectId), made];
    return made;
  }
}

export function makeRequest(n: number, values: MessageInitShape<typeof ReidentificationSchema> = {}): Reidentification {
  return create(ReidentificationSchema, {
    reidentificationId: idOf(200 + n),
    projectId: idOf(1),
    kind: PseudonymKind.PATIENT,
    pseudonym: `PSEUDO-${n}`,
    reason: "a finding that she has to know of",
    requestedBy: "bea",
    state: ReidentificationState.WAITING,
    ...values,
  });
}

/** A session of somebody who may do this. */
export function sessionOf(...permissions: Permission[]): Session {
  const session = new Session();
  session.caller = create(GetCallerResponseSchema, { permissions, user: { name: "ana" } });
  return session;
}
