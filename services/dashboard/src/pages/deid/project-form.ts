// What a person fills in of a project, as a message and back.
import { create } from "@bufbuild/protobuf";
import { ProfileOption, ProfilePreset, ProfileSchema } from "../../gen/heimdallr/deid/v1/profile_pb";
import { type Project, ProjectSchema } from "../../gen/heimdallr/deid/v1/project_service_pb";
import type { DeidKey } from "../../i18n/deid.en";

export interface ProjectForm {
  name: string;
  description: string;
  preset: ProfilePreset;
  /** Options chosen in all: those of the preset that stay, and those added. */
  options: ProfileOption[];
  twoPersons: boolean;
}

/** Problems by the path of the field in the request. */
export type Problems = Readonly<Record<string, DeidKey>>;

/** What a preset stands for; null while that is not known. */
export type OptionsOf = (preset: ProfilePreset) => readonly ProfileOption[] | null;

const NAME = /^[a-z0-9-]{1,64}$/;

/** The form of a project; a new one without any. Two persons unless somebody decides otherwise. */
export function formOf(project: Project | undefined, optionsOf: OptionsOf): ProjectForm {
  const preset = project?.profile?.preset || ProfilePreset.BASIC;
  return {
    name: project?.name ?? "",
    description: project?.description ?? "",
    preset,
    options: chosenOptions(project, preset, optionsOf),
    twoPersons: project?.twoPersons ?? true,
  };
}

function chosenOptions(project: Project | undefined, preset: ProfilePreset, optionsOf: OptionsOf): ProfileOption[] {
  const leftOut = project?.profile?.leftOutOptions ?? [];
  const chosen = new Set([...(optionsOf(preset) ?? []), ...(project?.profile?.addedOptions ?? [])]);
  return [...chosen].filter((option) => !leftOut.includes(option));
}

export function problemsOf(form: ProjectForm): Problems {
  const dates = [ProfileOption.RETAIN_FULL_DATES, ProfileOption.RETAIN_MODIFIED_DATES];
  const checks: readonly (readonly [string, boolean, DeidKey])[] = [
    ["project.name", !NAME.test(form.name.trim()), "project.name-wrong"],
    ["project.profile", dates.every((one) => form.options.includes(one)), "project.dates-clash"],
  ];
  return Object.fromEntries(checks.filter(([, wrong]) => wrong).map(([field, , key]) => [field, key]));
}

/** The project as it shall be. Its rules stay; so do its options while those of presets are not known. */
export function projectOf(form: ProjectForm, before: Project | undefined, optionsOf: OptionsOf): Project {
  const profile = before?.profile ?? create(ProfileSchema);
  const { addedOptions, leftOutOptions } = differing(form.options, optionsOf(form.preset)) ?? profile;
  return create(ProjectSchema, {
    projectId: before?.projectId ?? "",
    name: form.name.trim(),
    description: form.description,
    profile: create(ProfileSchema, { preset: form.preset, addedOptions, leftOutOptions, rules: profile.rules }),
    twoPersons: form.twoPersons,
  });
}

/** How chosen options differ from those of the preset; null while these are not known. */
function differing(chosen: readonly ProfileOption[], ofPreset: readonly ProfileOption[] | null) {
  if (ofPreset === null) return null;
  return {
    addedOptions: chosen.filter((one) => !ofPreset.includes(one)),
    leftOutOptions: ofPreset.filter((one) => !chosen.includes(one)),
  };
}
