import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { SessionError, type SessionEndpoint } from "./api/session-endpoint";
import App from "./App.svelte";
import { AccessService, GetCallerResponseSchema } from "./gen/heimdallr/access/v1/access_service_pb";
import { ArchiveService, type ListStudiesRequest, StudyOrder, StudyState } from "./gen/heimdallr/archive/v1/archive_service_pb";
import { EventsService, EventType, WatchEventsResponseSchema } from "./gen/heimdallr/events/v1/events_service_pb";
import { OperationsService, ProcessState } from "./gen/heimdallr/operations/v1/operations_service_pb";
import { WorkflowService } from "./gen/heimdallr/workflow/v1/workflow_service_pb";
import { locale } from "./i18n/translate.svelte";
import { router } from "./router/router.svelte";
import { Session } from "./session/session.svelte";
import { Feed, makeStudy, meshTransport, noEndpoint, signedIn, studyId } from "./testing/mesh";

function go(path: string): void {
  history.replaceState(null, "", path);
  router.read();
}

function show(register: Parameters<typeof meshTransport>[0], endpoint: SessionEndpoint = noEndpoint) {
  const session = new Session(endpoint);
  render(App, { session, transport: meshTransport(register, () => session.expire()) });
  return { session, user: userEvent.setup() };
}

beforeEach(() => {
  locale.choose("en");
  go("/studies");
});

describe("the list of studies", () => {
  test("filters go into the address and to the archive", async () => {
    const asked: ListStudiesRequest[] = [];
    const { user } = show((mesh) =>
      mesh.service(ArchiveService, {
        listStudies: (request) => {
          asked.push(request);
          return { studies: [makeStudy(1)] };
        },
      }),
    );
    await screen.findByText("TEST, PATIENT 1");

    await user.click(screen.getByRole("button", { name: /^Held/ }));
    await user.selectOptions(screen.getByLabelText("Modality"), "CT");
    await user.type(screen.getByLabelText("Search studies"), "lima");

    await waitFor(() => expect(location.search).toBe("?state=held&modality=CT&text=lima"));
    await waitFor(() => expect(asked.at(-1)).toMatchObject({ state: StudyState.HELD, modality: "CT", text: "lima" }));
  });

  test("an address with filters is shown as it says", async () => {
    go("/studies?state=ready&from=2026-01-02&order=study_date");
    const asked: ListStudiesRequest[] = [];
    show((mesh) =>
      mesh.service(ArchiveService, {
        listStudies: (request) => {
          asked.push(request);
          return { studies: [] };
        },
      }),
    );

    await screen.findByText("No study matches");

    expect(asked[0]).toMatchObject({
      state: StudyState.READY,
      studyDateFrom: "20260102",
      order: StudyOrder.STUDY_DATE_DESCENDING,
    });
    expect(screen.getByRole("button", { name: "Ready" }).getAttribute("aria-pressed")).toBe("true");
  });

  test("an answer that was overtaken is not shown", async () => {
    const { user } = show((mesh) =>
      mesh.service(ArchiveService, {
        listStudies: async (request) => {
          if (request.state === StudyState.HELD) await new Promise((resolve) => setTimeout(resolve, 150));
          return { studies: [makeStudy(request.state)] };
        },
      }),
    );
    await screen.findByText("TEST, PATIENT 0");

    await user.click(screen.getByRole("button", { name: /^Held/ }));
    await user.click(screen.getByRole("button", { name: /^Ready/ }));
    await screen.findByText(`TEST, PATIENT ${StudyState.READY}`);
    await new Promise((resolve) => setTimeout(resolve, 200));

    expect(screen.queryByText(`TEST, PATIENT ${StudyState.HELD}`)).toBeNull();
  });

  test("a study that comes in appears at the top with its work", async () => {
    const feed = new Feed();
    const studies = [makeStudy(1)];
    show((mesh) => {
      mesh.service(ArchiveService, { listStudies: () => ({ studies }) });
      mesh.service(EventsService, { watchEvents: (_request, context) => feed.read(context.signal) });
      mesh.service(WorkflowService, {
        getQueue: () => ({ studies: [{ state: StudyState.READY, count: 1n }] }),
        summarizeStudies: (request) => ({
          summaries: request.studyIds.map((id) => ({
            studyId: id,
            finishedStageCount: 2,
            stageCount: 5,
            wait: { code: "QUIET", text: "Quiet for 12 s of 60 s" },
          })),
        }),
      });
    });
    await screen.findByText("TEST, PATIENT 1");

    studies.unshift(makeStudy(2, { state: StudyState.RECEIVING }));
    const event = { type: EventType.STUDY_CREATED, studyId: studyId(2) };
    feed.push(create(WatchEventsResponseSchema, { cursor: "7", event }));

    await screen.findByText("TEST, PATIENT 2");
    const row = screen.getAllByRole("row")[1];
    expect(row?.dataset["studyId"]).toBe(studyId(2));
    await waitFor(() => expect(row?.textContent).toContain("Quiet for 12 s of 60 s"));
    expect(row?.textContent).toContain("2 of 5 stages");
    expect(screen.getByText("1 new study")).toBeTruthy();
  });

  test("the focus stays on its study when the rows change", async () => {
    const feed = new Feed();
    const studies = [makeStudy(1), makeStudy(2)];
    const { user } = show((mesh) => {
      mesh.service(ArchiveService, { listStudies: () => ({ studies }) });
      mesh.service(EventsService, { watchEvents: (_request, context) => feed.read(context.signal) });
    });
    await screen.findByText("TEST, PATIENT 1");
    await user.keyboard("jj");
    await waitFor(() => expect((document.activeElement as HTMLElement).dataset["studyId"]).toBe(studyId(2)));

    studies.unshift(makeStudy(3));
    const event = { type: EventType.STUDY_CREATED, studyId: studyId(3) };
    feed.push(create(WatchEventsResponseSchema, { cursor: "8", event }));
    await screen.findByText("TEST, PATIENT 3");

    expect((document.activeElement as HTMLElement).dataset["studyId"]).toBe(studyId(2));
  });

  test("a server that cannot sum up work still shows its studies", async () => {
    show((mesh) => {
      mesh.service(ArchiveService, { listStudies: () => ({ studies: [makeStudy(1)] }) });
      mesh.service(WorkflowService, {});
    });

    expect(await screen.findByText("TEST, PATIENT 1")).toBeTruthy();
    await new Promise((resolve) => setTimeout(resolve, 120));

    expect(screen.queryByRole("alert")).toBeNull();
  });

  test("a failure tells its correlation id", async () => {
    show((mesh) =>
      mesh.service(ArchiveService, {
        listStudies: () => {
          throw new ConnectError("broken", Code.Internal, { "x-correlation-id": "c0ffee" });
        },
      }),
    );

    const alert = await screen.findByRole("alert");

    expect(alert.textContent).toContain("c0ffee");
    expect(within(alert).getByRole("button", { name: "Copy the correlation id" })).toBeTruthy();
  });

  test("markup, direction controls and endless values stay text", async () => {
    const markup = "<img src=x onerror=alert(1)>";
    const long = "A".repeat(10_000);
    show((mesh) =>
      mesh.service(ArchiveService, {
        listStudies: () => ({ studies: [makeStudy(1, { patientName: "\u202EKCATTA", studyDescription: markup, accessionNumber: long })] }),
      }),
    );

    const shown = await screen.findByText(markup);

    expect(shown.tagName).toBe("BDI");
    expect(document.querySelector("img")).toBeNull();
    expect(screen.getByText("\u202EKCATTA").tagName).toBe("BDI");
    expect(screen.getByTitle(/^A{1000}…$/).textContent?.length).toBeLessThan(200);
  });

  test("a study that may mix up two patients says so", async () => {
    show((mesh) =>
      mesh.service(ArchiveService, {
        listStudies: () => ({ studies: [makeStudy(1, { patientMismatchCount: 2 }), makeStudy(2)] }),
      }),
    );

    await screen.findByText("TEST, PATIENT 1");

    expect(screen.getAllByTitle("2 instances name another patient")).toHaveLength(1);
    expect(screen.getAllByText("2 instances name another patient")).toHaveLength(1);
  });

  test("an empty archive says how to send a study", async () => {
    show(() => {});

    expect(await screen.findByText("No studies yet")).toBeTruthy();
    expect(screen.getByText(/^storescu -aec HEIMDALLR/)).toBeTruthy();
  });
});

describe("the session", () => {
  test("whoever is not signed in is asked to, and led back to where they wanted", async () => {
    go("/studies?state=held");
    let inside = false;
    const { user } = show(
      (mesh) =>
        mesh.service(AccessService, {
          getCaller: () => {
            if (!inside) throw new ConnectError("no", Code.Unauthenticated);
            return signedIn;
          },
        }),
      { ...noEndpoint, begin: () => Promise.resolve(void (inside = true)) },
    );

    await user.type(await screen.findByLabelText("Name"), "ana");
    await user.type(screen.getByLabelText("Password"), "a long enough one");
    await user.click(screen.getByRole("button", { name: "Sign in" }));

    await screen.findByText("No study matches");
    expect(location.pathname + location.search).toBe("/studies?state=held");
  });

  test("a wrong password says so and nothing more", async () => {
    go("/sign-in");
    const { user } = show(
      (mesh) =>
        mesh.service(AccessService, {
          getCaller: () => {
            throw new ConnectError("no", Code.Unauthenticated);
          },
        }),
      { ...noEndpoint, begin: () => Promise.reject(new SessionError(401, "c1")) },
    );

    await user.type(await screen.findByLabelText("Name"), "ana");
    await user.type(screen.getByLabelText("Password"), "wrong");
    await user.click(screen.getByRole("button", { name: "Sign in" }));

    expect((await screen.findByRole("alert")).textContent.trim()).toBe("Name or password is wrong.");
  });

  test("a link signs in at once, leaves the address and offers a password", async () => {
    go("/sign-in#code=one.time.token");
    const begin = vi.fn(() => Promise.resolve());
    let asked = 0;
    show(
      (mesh) =>
        mesh.service(AccessService, {
          getCaller: () => {
            if (++asked === 1) throw new ConnectError("no", Code.Unauthenticated);
            return create(GetCallerResponseSchema, { ...signedIn, hasPassword: false });
          },
        }),
      { ...noEndpoint, begin },
    );

    await screen.findByRole("heading", { name: "Set a password" });

    expect(begin).toHaveBeenCalledWith({ sign_in_token: "one.time.token" });
    expect(location.hash).toBe("");
  });

  test("when it ends, the place, the filters and the rows are kept", async () => {
    go("/studies?modality=CT");
    let ended = false;
    const { session, user } = show(
      (mesh) => {
        mesh.service(ArchiveService, {
          listStudies: () => {
            if (ended) throw new ConnectError("no", Code.Unauthenticated);
            return { studies: [makeStudy(1)] };
          },
        });
        mesh.service(AccessService, { getCaller: () => signedIn });
      },
      { ...noEndpoint, begin: () => Promise.resolve(void (ended = false)) },
    );
    await screen.findByText("TEST, PATIENT 1");
    ended = true;
    await user.click(screen.getByRole("button", { name: /^Held/ }));

    const dialog = await screen.findByRole("dialog", { hidden: true });
    expect(session.state).toBe("expired");
    expect(screen.getByText("TEST, PATIENT 1")).toBeTruthy();
    await user.type(within(dialog).getByLabelText("Password"), "a long enough one");
    await user.click(within(dialog).getByText("Sign in", { selector: "button" }));

    await waitFor(() => expect(session.state).toBe("signed-in"));
    expect(location.search).toBe("?modality=CT&state=held");
    await waitFor(() => expect(screen.queryByRole("dialog", { hidden: true })).toBeNull());
  });
});

test("the status names processes, storage and why a model is not there", async () => {
  go("/status");
  show((mesh) =>
    mesh.service(OperationsService, {
      getStatus: () => ({
        processes: [{ name: "gateway", state: ProcessState.UNREADY, restartCount: 3 }],
        storage: { instanceBytes: 2_000_000_000n, resultBytes: 0n, freeBytes: 6_000_000_000n, totalBytes: 10_000_000_000n, damagedCount: 2n },
        caches: [{ name: "dicomweb", usedBytes: 1_000_000_000n, limitBytes: 4_000_000_000n }],
        models: [{ name: "ct_tissue", available: false, unavailability: { text: "The model server is not running." } }],
        versions: [{ part: "heimdallr", version: "0.1.0" }],
      }),
    }),
  );

  expect(await screen.findByText("Not answering")).toBeTruthy();
  expect(screen.getByText("2 GB used by images and results, 6 GB free of 10 GB")).toBeTruthy();
  expect(screen.getByText("1 GB of 4 GB kept for viewers: pictures, previews, headers")).toBeTruthy();
  expect(screen.getByRole("alert").textContent).toContain("2 stored files were damaged or missing");
  expect(screen.getByText("The model server is not running.")).toBeTruthy();
});

test("the language changes every text at once", async () => {
  go("/settings");
  const { user } = show(() => {});

  await user.click(await screen.findByLabelText("Português"));

  expect(screen.getByRole("heading", { level: 1 }).textContent).toBe("Configurações");
  expect(screen.getByText("Não é um dispositivo médico. Preliminar.")).toBeTruthy();
});

test("? shows the shortcuts of the page", async () => {
  const { user } = show((mesh) => mesh.service(ArchiveService, { listStudies: () => ({ studies: [makeStudy(1)] }) }));
  await screen.findByText("TEST, PATIENT 1");

  await user.keyboard("?");

  const sheet = await screen.findByRole("dialog", { hidden: true });
  expect(sheet.textContent).toContain("Next study");
  expect(sheet.textContent).toContain("Dark or light");
});
