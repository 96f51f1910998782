import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";

import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { Evidence, StudyState } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import { locale } from "../../i18n/translate.svelte";
import { Server, sessionOf, STUDY_ID, transportOf } from "./fixtures";
import Provided from "./Provided.svelte";

const TECHNICIAN = [Permission.ARCHIVE_READ, Permission.WORKFLOW_READ, Permission.COMPLETENESS_WRITE];

function show(server: Server, permissions: Permission[] = TECHNICIAN) {
  locale.choose("en");
  return render(Provided, { transport: transportOf(server), session: sessionOf(...permissions), studyId: STUDY_ID });
}

function arriving(): Server {
  const server = new Server();
  server.workflow = {
    studyId: STUDY_ID,
    state: StudyState.RECEIVING,
    generation: 1,
    waits: [
      { code: "ANNOUNCED", text: "96 of 120", count: 96, wantedCount: 120 },
      { code: "QUIET", text: "Quiet for 12 s of 600 s", remainingS: 588, totalS: 600 },
    ],
    announcement: { announcedCount: 120, presentCount: 96 },
  };
  return server;
}

describe("how the completeness of a study is known", () => {
  afterEach(() => vi.useRealTimers());

  it("shows what is missing and counts down how long it still waits", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    show(arriving());

    expect(await screen.findByText("96 of 120 announced images are here")).toBeTruthy();
    expect(screen.getByText("Quiet for 12 s of 600 s")).toBeTruthy();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(screen.getByText(/^Quiet for 4\d s of 600 s$/)).toBeTruthy();
    expect(screen.getByRole("progressbar", { name: "How much of the time is over" })).toBeTruthy();
  });

  it("is said by a person once that is confirmed, by keyboard", async () => {
    const server = arriving();
    const user = userEvent.setup();
    show(server);

    (await screen.findByRole("button", { name: "Treat as complete" })).focus();
    await user.keyboard("{Enter}");
    const dialog = screen.getByRole("dialog");
    expect(dialog.textContent).toContain("open a new generation");
    expect(server.asked).toEqual([]);
    within(dialog).getByRole("button", { name: "Treat as complete" }).focus();
    await user.keyboard("{Enter}");

    await waitFor(() => expect(server.asked).toEqual([`complete ${STUDY_ID}`]));
    expect(await screen.findByText("The study is treated as complete.")).toBeTruthy();
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("cannot be said by those who may not, nor of a study that is complete", async () => {
    const { unmount } = show(arriving(), [Permission.ARCHIVE_READ, Permission.WORKFLOW_READ]);
    await screen.findByText("96 of 120 announced images are here");
    expect(screen.queryByRole("button", { name: "Treat as complete" })).toBeNull();
    unmount();

    show(new Server());
    await screen.findByText("The model server is not running.");
    expect(screen.queryByRole("button", { name: "Treat as complete" })).toBeNull();
  });

  it("is shown with its grade, its generation and what never came", async () => {
    const server = new Server();
    server.workflow = {
      studyId: STUDY_ID,
      state: StudyState.READY,
      evidence: Evidence.QUIET,
      generation: 2,
      announcement: { announcedCount: 120, presentCount: 96 },
    };
    show(server);

    expect(await screen.findByText("Evidence D")).toBeTruthy();
    expect(screen.getByText(/Generation 2: images came after/)).toBeTruthy();
    expect(screen.getByText("96 of 120 images that were announced are here.")).toBeTruthy();
  });
});
