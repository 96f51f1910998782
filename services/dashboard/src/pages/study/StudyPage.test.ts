import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { StudyState } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import { StageState } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { locale } from "../../i18n/translate.svelte";
import { notFound, SERIES_ID, Server, sessionOf, STUDY_ID, transportOf } from "./fixtures";
import Provided from "./Provided.svelte";

const WRITER = [Permission.ARCHIVE_READ, Permission.WORKFLOW_READ, Permission.WORKFLOW_WRITE];

function show(server: Server, permissions: Permission[] = WRITER) {
  locale.choose("en");
  return render(Provided, { transport: transportOf(server), session: sessionOf(...permissions), studyId: STUDY_ID });
}

const measured = (measurements: object[]) => ({
  generation: 1,
  series: [{ seriesId: SERIES_ID, analyses: [{ labels: [{ value: 1, structure: "lungs", displayName: "Lungs", color: "#56b4e9" }], measurements }] }],
});

describe("the page of a study", () => {
  it("tells who, what state, and why it is held", async () => {
    show(new Server());

    expect(await screen.findByRole("heading", { level: 1, name: "PHANTOM, CHEST" })).toBeTruthy();
    expect(screen.getAllByText("Held").length).toBeGreaterThan(0);
    expect(screen.getByText("The model server is not running.")).toBeTruthy();
    expect(screen.getByText("work-7")).toBeTruthy();
  });

  it("runs a held stage again once that is confirmed, and says what will happen before", async () => {
    const server = new Server();
    const user = userEvent.setup();
    show(server);

    await user.click(await screen.findByRole("button", { name: "Run again: Analyse with ct_tissue" }));
    const dialog = screen.getByRole("dialog");
    expect(dialog.textContent).toContain("and after it: Report");
    expect(server.asked).toEqual([]);
    await user.click(within(dialog).getByRole("button", { name: "Run again" }));

    await waitFor(() => expect(server.asked).toEqual(["replay stage-analyze"]));
    expect(await screen.findByText("“Analyse with ct_tissue” is in the queue again.")).toBeTruthy();
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(document.activeElement?.textContent).toContain("Analyse with ct_tissue");
  });

  it("does nothing when a replay is not confirmed, and gives the focus back", async () => {
    const server = new Server();
    const user = userEvent.setup();
    show(server);
    const button = await screen.findByRole("button", { name: "Run again: Analyse with ct_tissue" });

    await user.click(button);
    await user.click(screen.getByRole("button", { name: "Back" }));

    expect(screen.queryByRole("dialog")).toBeNull();
    expect(server.asked).toEqual([]);
    expect(document.activeElement).toBe(button);
  });

  it("stops the work once that is confirmed", async () => {
    const server = new Server();
    const user = userEvent.setup();
    show(server);

    await user.click(await screen.findByRole("button", { name: "Stop the work" }));
    await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Stop the work" }));

    expect(await screen.findByText("1 step was stopped.")).toBeTruthy();
    expect(server.asked).toEqual(["cancel"]);
  });

  it("offers no change to those who may not make one", async () => {
    show(new Server(), [Permission.ARCHIVE_READ, Permission.WORKFLOW_READ]);

    expect(await screen.findByText("The model server is not running.")).toBeTruthy();
    expect(screen.queryByRole("button", { name: /Run again|Stop the work/ })).toBeNull();
    expect(screen.getByLabelText<HTMLSelectElement>("Priority").disabled).toBe(true);
  });

  it("changes the priority", async () => {
    const server = new Server();
    const user = userEvent.setup();
    show(server);

    await user.selectOptions(await screen.findByLabelText("Priority"), "STAT");

    await waitFor(() => expect(server.asked).toEqual(["priority 4"]));
  });

  it("shows attempts with worker, outcome and reason", async () => {
    const user = userEvent.setup();
    show(new Server());

    await user.click(await screen.findByRole("button", { name: /1 attempt.*Analyse/ }));

    const attempts = screen.getByRole("table", { name: "Attempts of Analyse with ct_tissue" });
    expect(attempts.textContent).toContain("coordinator-1");
    expect(attempts.textContent).toContain("Failed");
    expect(attempts.textContent).toContain("ERROR_REASON_MODEL_UNAVAILABLE");
  });

  it("shows a value with its unit, and a refusal with its sentence and evidence", async () => {
    const server = new Server();
    server.results = measured([
      { name: "lungs.volume", displayName: "Volume: Lungs", structure: "lungs", outcome: { case: "value", value: { number: 2603.8, unitUcum: "mL" } } },
      {
        name: "lungs.mean_hu",
        displayName: "Mean CT number: Lungs",
        structure: "lungs",
        outcome: { case: "refusal", value: { code: "TRUNCATED_Z", text: "The lungs are cut off by the edge of the scan." } },
        evidence: [{ name: "touches_last_slice", text: "yes" }],
      },
      { name: "lungs.sd_hu", displayName: "Deviation: Lungs", structure: "lungs", outcome: { case: undefined } },
    ]);
    const { container } = show(server);

    await screen.findByText("2,604");
    const row = (name: string) => container.querySelector(`[data-measurement="${name}"]`)?.textContent ?? "";
    expect(row("lungs.volume")).toContain("mL");
    expect(row("lungs.mean_hu")).toContain("The lungs are cut off by the edge of the scan.");
    expect(row("lungs.mean_hu")).toContain("Refused");
    expect(row("lungs.mean_hu")).toContain("touches last slice");
    expect(row("lungs.sd_hu")).toContain("No outcome was given.");
  });

  it("shows still pictures and a sentence where volumes cannot be drawn", async () => {
    const server = new Server();
    vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:still");
    server.results = {
      generation: 1,
      series: [
        {
          seriesId: SERIES_ID,
          volume: { nifti: { sha256: "aa", sizeBytes: 1n }, shape: [2, 2, 2], hounsfield: true },
          previews: [{ image: { sha256: "bb", sizeBytes: 1n, mediaType: "image/png" }, kind: "axial", alternativeText: "Middle axial slice" }],
        },
      ],
    };
    show(server);

    expect(await screen.findByText(/WebGL 2 is missing|could not be loaded/, {}, { timeout: 10_000 })).toBeTruthy();
    expect(await screen.findByAltText("Middle axial slice")).toBeTruthy();
  }, 20_000);

  it("shows text of strangers as text", async () => {
    const server = new Server();
    server.study = { ...server.study, patientName: "<img src onerror>^‮EVIL🙂", studyDescription: `<script>${"x".repeat(10_000)}` };
    const { container } = show(server);

    const heading = await screen.findByRole("heading", { level: 1 });

    expect(heading.textContent).toContain("<img src onerror>");
    expect(heading.querySelector("bdi")).not.toBeNull();
    expect(container.querySelector("img, script")).toBeNull();
  });

  it("says that there is no such study, with an id to copy", async () => {
    const server = new Server();
    server.failure = notFound();
    show(server);

    expect(await screen.findByText("There is no such study")).toBeTruthy();
    expect(screen.getByText("call-42")).toBeTruthy();
    expect(server.watches).toBe(1);
  });

  it("speaks Portuguese", async () => {
    const server = new Server();
    server.workflow = { studyId: STUDY_ID, state: StudyState.PROCESSING, generation: 1, stages: [{ stageId: "s", name: "convert", state: StageState.RUNNING, generation: 1 }] };
    show(server);
    locale.choose("pt");

    expect(await screen.findByText("Converter em volume")).toBeTruthy();
    expect(screen.getByText("Em execução")).toBeTruthy();
  });
});
