import { Code, ConnectError } from "@connectrpc/connect";
import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { ProfileOption, ProfilePreset } from "../../gen/heimdallr/deid/v1/profile_pb";
import { locale } from "../../i18n/translate.svelte";
import { router } from "../../router/router.svelte";
import { typedError } from "../peers/registry";
import { Desk, idOf, makeProject, makeSeries, sessionOf } from "./desk";
import Provided from "./Provided.svelte";

const READER = [Permission.DEID_READ];
const ADMINISTRATOR = [...READER, Permission.DEID_ADMIN, Permission.DEID_REIDENTIFY, Permission.DEID_START];

function showProjects(desk: Desk, permissions: Permission[] = ADMINISTRATOR) {
  render(Provided, { transport: desk.transport, session: sessionOf(...permissions), route: { page: "deid", room: "projects" } });
  return userEvent.setup();
}

function showProject(desk: Desk, permissions: Permission[] = ADMINISTRATOR) {
  render(Provided, { transport: desk.transport, session: sessionOf(...permissions), route: { page: "deid", room: "project", id: idOf(1) } });
  return userEvent.setup();
}

beforeEach(() => {
  locale.choose("en");
  router.navigate("/deidentification", { replace: true });
});

describe("the list of projects", () => {
  it("shows preset and counts of each, and leads to what is held", async () => {
    const desk = new Desk();
    desk.projects = [makeProject(1)];

    showProjects(desk);

    const row = await screen.findByRole("row", { name: /trial-1/ });
    await waitFor(() => expect(row.textContent).toContain("9"));
    expect(row.textContent).toContain("Research");
    expect(within(row).getByRole("link", { name: /2 Held/ }).getAttribute("href")).toBe(`/deidentification/projects/${idOf(1)}?state=held`);
    expect(await screen.findByText(/text in pictures is read by tesseract 5.3/)).toBeTruthy();
  });

  it("offers nothing to those who may only look", async () => {
    const desk = new Desk();
    desk.projects = [makeProject(1)];

    showProjects(desk, READER);

    await screen.findByRole("row", { name: /trial-1/ });
    expect(screen.queryAllByRole("button")).toEqual([]);
    expect(screen.queryByRole("link", { name: "Re-identification" })).toBeNull();
  });

  it("says that it is empty, and that there is no OCR engine", async () => {
    const desk = new Desk();
    desk.ocrEngine = "";

    showProjects(desk);

    expect(await screen.findByText("No projects yet")).toBeTruthy();
    expect(await screen.findByText("There is no OCR engine, so no picture can be read.")).toBeTruthy();
  });
});

describe("a new project", () => {
  it("is made by keyboard alone, and differs from its preset by what was chosen", async () => {
    const desk = new Desk();
    const user = showProjects(desk);
    await screen.findByText("No projects yet");
    screen.getByRole("button", { name: "Add a project" }).focus();
    await user.keyboard("{Enter}");
    const dialog = within(screen.getByRole("dialog"));

    dialog.getByLabelText("Name").focus();
    await user.keyboard("Not A Name{Enter}");
    expect(dialog.getAllByText("1 to 64 of a-z, 0-9 and “-”.").length).toBe(1);
    expect(document.activeElement).toBe(dialog.getByLabelText("Name"));
    await user.clear(dialog.getByLabelText("Name"));
    await user.keyboard("lungs");
    dialog.getByRole("radio", { name: /Research/ }).focus();
    await user.keyboard(" ");
    dialog.getByRole("checkbox", { name: /Retain modified dates/ }).focus();
    await user.keyboard(" ");
    dialog.getByRole("checkbox", { name: /Retain UIDs/ }).focus();
    await user.keyboard(" ");
    dialog.getByRole("button", { name: "Save" }).focus();
    await user.keyboard("{Enter}");

    expect(await screen.findByText("lungs is created.")).toBeTruthy();
    expect(desk.saved[0]).toMatchObject({ name: "lungs", twoPersons: true });
    expect(desk.saved[0]?.profile).toMatchObject({
      preset: ProfilePreset.RESEARCH,
      addedOptions: [ProfileOption.RETAIN_UIDS],
      leftOutOptions: [ProfileOption.RETAIN_MODIFIED_DATES],
    });
  });

  it("is not sent with dates both kept and shifted", async () => {
    const desk = new Desk();
    const user = showProjects(desk);
    await screen.findByText(/No projects yet/);
    await user.click(screen.getByRole("button", { name: "Add a project" }));
    const dialog = within(screen.getByRole("dialog"));
    await user.type(dialog.getByLabelText("Name"), "lungs");
    await user.click(dialog.getByRole("checkbox", { name: /Retain full dates/ }));
    await user.click(dialog.getByRole("checkbox", { name: /Retain modified dates/ }));

    await user.click(dialog.getByRole("button", { name: "Save" }));

    expect(dialog.getByText("Dates stay either as they are or shifted, not both.")).toBeTruthy();
    expect(desk.saved).toEqual([]);
  });

  it("says when the name is taken, and when nobody answers", async () => {
    const desk = new Desk();
    desk.failure = typedError(Code.AlreadyExists, "ERROR_REASON_DEID_PROJECT_EXISTS", {});
    const user = showProjects(desk);
    await user.click(await screen.findByRole("button", { name: "Add a project" }));
    const dialog = within(screen.getByRole("dialog"));
    await user.type(dialog.getByLabelText("Name"), "lungs");

    await user.click(dialog.getByRole("button", { name: "Save" }));
    expect(await dialog.findByText("Another project has this name.")).toBeTruthy();
    desk.failure = new ConnectError("gone", Code.Unavailable);
    await user.click(dialog.getByRole("button", { name: "Save" }));

    expect(await dialog.findByText("It could not be saved")).toBeTruthy();
  });
});

describe("a project", () => {
  it("says how far it is, why objects are held, and keeps its rules when it is changed", async () => {
    const desk = new Desk();
    const rules = [{ tag: "00081030", action: 1, reason: "names the ward" }];
    desk.projects = [makeProject(1, { profile: { preset: ProfilePreset.BASIC, rules } })];
    const user = showProject(desk);

    expect(await screen.findByText(/The pixels may show text, and nothing has read them/)).toBeTruthy();
    expect(screen.getByText(/names the ward/)).toBeTruthy();
    expect(screen.getByText("Nothing is de-identified for this project yet")).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "Edit trial-1" }));
    await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Save" }));

    await waitFor(() => expect(desk.saved).toHaveLength(1));
    expect(desk.saved[0]?.profile?.rules).toMatchObject(rules);
  });

  it("keeps the state its series are narrowed to in the address", async () => {
    const desk = new Desk();
    desk.projects = [makeProject(1)];
    desk.series = [makeSeries(1)];
    const user = showProject(desk);
    const link = await screen.findByRole("link", { name: /US series/ });
    expect(link.getAttribute("href")).toBe(`/deidentification/series/${idOf(51)}?state=held`);

    await user.selectOptions(screen.getByLabelText("Objects"), "With rejected objects");

    expect(router.query.get("state")).toBe("rejected");
    await waitFor(() => expect(desk.asked.at(-1)).toBe("list 4"));
  });

  it("gets a new version of its key once that is confirmed", async () => {
    const desk = new Desk();
    desk.projects = [makeProject(1)];
    const user = showProject(desk);
    await user.click(await screen.findByRole("button", { name: "New version of the key" }));
    expect(desk.asked).not.toContain(`rotate ${idOf(1)}`);

    await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: "New version of the key" }));

    expect(await screen.findByText("New patients get version 2 of the key.")).toBeTruthy();
  });

  it("speaks Portuguese", async () => {
    locale.choose("pt");
    showProjects(new Desk());

    expect(await screen.findByText("Ainda não há projetos")).toBeTruthy();
  });
});

describe("a study", () => {
  it("is de-identified for the project that is chosen", async () => {
    const desk = new Desk();
    desk.projects = [makeProject(1), makeProject(2)];
    render(Provided, { transport: desk.transport, session: sessionOf(...ADMINISTRATOR), studyId: idOf(7) });
    const user = userEvent.setup();
    await user.selectOptions(await screen.findByLabelText("Project"), "trial-2");

    await user.click(screen.getByRole("button", { name: "De-identify" }));

    expect(await screen.findByText(/Begun: 2 series/)).toBeTruthy();
    expect(desk.asked).toEqual([`start ${idOf(2)} ${idOf(7)}`]);
  });

  it("says that there is no project, and what did not work", async () => {
    const desk = new Desk();
    render(Provided, { transport: desk.transport, session: sessionOf(...ADMINISTRATOR), studyId: idOf(7) });
    expect(await screen.findByText(/There is no project yet/)).toBeTruthy();
    document.body.replaceChildren();

    desk.projects = [makeProject(1)];
    desk.failure = new ConnectError("gone", Code.Unavailable);
    render(Provided, { transport: desk.transport, session: sessionOf(...ADMINISTRATOR), studyId: idOf(7) });
    await userEvent.click(await screen.findByRole("button", { name: "De-identify" }));

    expect(await screen.findByText("It could not be begun")).toBeTruthy();
  });
});
