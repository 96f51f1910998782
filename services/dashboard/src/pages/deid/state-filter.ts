// The state that a list is narrowed to, as the address holds it.
import { ObjectState } from "../../gen/heimdallr/deid/v1/review_service_pb";

const WORDS: Readonly<Record<string, ObjectState>> = {
  released: ObjectState.RELEASED,
  held: ObjectState.HELD,
  approved: ObjectState.APPROVED,
  rejected: ObjectState.REJECTED,
};

export type StateWord = "" | "released" | "held" | "approved" | "rejected";
export const STATE_WORDS: readonly StateWord[] = ["", "released", "held", "approved", "rejected"];

/** Reads an address; what nobody could have chosen counts as not chosen. */
export function stateOf(word: string): ObjectState {
  return WORDS[word] ?? ObjectState.UNSPECIFIED;
}

export function wordOf(word: string): StateWord {
  return STATE_WORDS.find((one) => one === word) ?? "";
}
