// Words for what the contracts give as numbers and codes.
import type { IconName } from "../../components/icons";
import { PseudonymKind } from "../../gen/heimdallr/deid/v1/deidentification_service_pb";
import { ReidentificationState } from "../../gen/heimdallr/deid/v1/crosswalk_service_pb";
import { type Finding, ProfileOption, ProfilePreset, RuleAction } from "../../gen/heimdallr/deid/v1/profile_pb";
import { ObjectState } from "../../gen/heimdallr/deid/v1/review_service_pb";
import { deidEn, type DeidKey } from "../../i18n/deid.en";
import { type FindingKey, findingsEn } from "../../i18n/findings.en";
import { t, tFinding } from "./t";

/** What no approval lets through: what was found is known to identify, or nothing has looked. */
export const NEVER: ReadonlySet<string> = new Set(["IDENTIFIER_FOUND", "OCR_UNAVAILABLE"]);

export const PRESETS = [ProfilePreset.BASIC, ProfilePreset.RESEARCH, ProfilePreset.EXTERNAL_MODEL] as const;
export const OPTIONS: readonly ProfileOption[] = numbersOf(ProfileOption);
export const ACTIONS: readonly RuleAction[] = numbersOf(RuleAction);
export const STATES: readonly ObjectState[] = numbersOf(ObjectState);
export const KINDS: readonly PseudonymKind[] = numbersOf(PseudonymKind);

/** How a state looks: never by colour alone. */
export interface Look {
  readonly icon: IconName;
  readonly tone: string;
}

const STATE_LOOKS: Readonly<Record<ObjectState, Look>> = {
  [ObjectState.UNSPECIFIED]: { icon: "question", tone: "text-faint" },
  [ObjectState.RELEASED]: { icon: "check", tone: "text-green" },
  [ObjectState.HELD]: { icon: "hand", tone: "text-red" },
  [ObjectState.APPROVED]: { icon: "user", tone: "text-green" },
  [ObjectState.REJECTED]: { icon: "slash", tone: "text-amber" },
};

const REQUEST_LOOKS: Readonly<Record<ReidentificationState, Look>> = {
  [ReidentificationState.UNSPECIFIED]: { icon: "question", tone: "text-faint" },
  [ReidentificationState.WAITING]: { icon: "clock", tone: "text-amber" },
  [ReidentificationState.AGREED]: { icon: "check", tone: "text-green" },
  [ReidentificationState.REFUSED]: { icon: "slash", tone: "text-red" },
  [ReidentificationState.EXPIRED]: { icon: "clock", tone: "text-faint" },
};

export function stateLook(state: ObjectState): Look {
  return STATE_LOOKS[state] ?? STATE_LOOKS[ObjectState.UNSPECIFIED];
}

export function requestLook(state: ReidentificationState): Look {
  return REQUEST_LOOKS[state] ?? REQUEST_LOOKS[ReidentificationState.UNSPECIFIED];
}

export const presetText = (preset: ProfilePreset): string => text(`preset.${preset}`, "preset.0");
export const presetHint = (preset: ProfilePreset): string => text(`preset-hint.${preset}`, "preset-hint.1");
export const optionText = (option: ProfileOption): string => text(`option.${option}`, "option.0");
export const optionHint = (option: ProfileOption): string => text(`option-hint.${option}`, "option-hint.0");
export const stateText = (state: ObjectState): string => text(`state.${state}`, "state.0");
export const actionText = (action: RuleAction): string => text(`action.${action}`, "action.1");
export const requestText = (state: ReidentificationState): string => text(`crosswalk.state.${state}`, "crosswalk.state.1");
export const kindText = (kind: PseudonymKind): string => text(`crosswalk.kind.${kind}`, "crosswalk.kind.1");

/** What an action code of PS3.15 means; a code that is not known stays as it is. */
export function actionCodeText(code: string): string {
  return `code.${code}` in deidEn ? t(`code.${code}` as DeidKey) : code;
}

/** Why a box was drawn; a code that is not known stays as it is. */
export function boxText(code: string): string {
  return `box.${code}` in deidEn ? t(`box.${code}` as DeidKey) : code;
}

/** Why an object is held, in words; what is not known here says the rule of the server. */
export function findingText(finding: Pick<Finding, "code" | "rule">): string {
  if (finding.code in findingsEn) return tFinding(finding.code as FindingKey);
  return finding.rule || finding.code;
}

/** What a person can do about it. */
export function findingAdvice(code: string): string {
  const key = `${code}.do`;
  return tFinding((key in findingsEn ? key : "other.do") as FindingKey);
}

// A number that a newer server sends has no text here.
function text(key: string, instead: DeidKey): string {
  return t(key in deidEn ? (key as DeidKey) : instead);
}

function numbersOf<Value extends number>(values: Readonly<Record<string, string | Value>>): Value[] {
  return Object.values(values).filter((one): one is Value => typeof one === "number" && one !== 0);
}
