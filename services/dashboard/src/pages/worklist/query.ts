// The filters and the order of the list, as the address holds them and as the archive takes them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type ListStudiesRequestSchema, StudyOrder, StudyState } from "../../gen/heimdallr/archive/v1/archive_service_pb";

export const STATES = ["receiving", "complete", "processing", "ready", "held"] as const;
export type StateFilter = (typeof STATES)[number] | "";

export const ORDERS = ["received", "received_first", "study_date"] as const;
export type Order = (typeof ORDERS)[number];

export const MODALITIES = ["CR", "CT", "DX", "MG", "MR", "NM", "PT", "RF", "US", "XA", "OT", "SEG", "SR"] as const;

export interface WorklistQuery {
  readonly text: string;
  readonly state: StateFilter;
  /** Modality (0008,0060), or empty. */
  readonly modality: string;
  /** Study Date (0008,0020) as YYYY-MM-DD, or empty. */
  readonly from: string;
  readonly to: string;
  readonly order: Order;
}

export const LONGEST_TEXT = 128;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const MODALITY = /^[A-Z0-9_]{1,16}$/;

const STATE_VALUES: Readonly<Record<StateFilter, StudyState>> = {
  "": StudyState.UNSPECIFIED,
  receiving: StudyState.RECEIVING,
  complete: StudyState.COMPLETE,
  processing: StudyState.PROCESSING,
  ready: StudyState.READY,
  held: StudyState.HELD,
};

const ORDER_VALUES: Readonly<Record<Order, StudyOrder>> = {
  received: StudyOrder.RECEIVED_DESCENDING,
  received_first: StudyOrder.RECEIVED_ASCENDING,
  study_date: StudyOrder.STUDY_DATE_DESCENDING,
};

/** Reads an address; what nobody could have chosen counts as not chosen. */
export function parseQuery(address: URLSearchParams): WorklistQuery {
  const read = (name: string): string => address.get(name)?.trim() ?? "";
  return {
    text: read("text").slice(0, LONGEST_TEXT),
    state: STATES.find((state) => state === read("state")) ?? "",
    modality: MODALITY.test(read("modality")) ? read("modality") : "",
    from: DATE.test(read("from")) ? read("from") : "",
    to: DATE.test(read("to")) ? read("to") : "",
    order: ORDERS.find((order) => order === read("order")) ?? "received",
  };
}

/** What the address says of a query; the default order goes without saying. */
export function queryValues(query: WorklistQuery): Record<keyof WorklistQuery, string> {
  return { ...query, order: query.order === "received" ? "" : query.order };
}

export function sameQuery(a: WorklistQuery, b: WorklistQuery): boolean {
  return JSON.stringify(queryValues(a)) === JSON.stringify(queryValues(b));
}

/** Whether anything narrows the list. */
export function isNarrowed(query: WorklistQuery): boolean {
  return [query.text, query.state, query.modality, query.from, query.to].some((value) => value !== "");
}

export function requestOf(
  query: WorklistQuery,
  pageSize: number,
  pageToken: string,
): MessageInitShape<typeof ListStudiesRequestSchema> {
  return {
    pageSize,
    pageToken,
    text: query.text,
    state: STATE_VALUES[query.state],
    modality: query.modality,
    studyDateFrom: query.from.replaceAll("-", ""),
    studyDateTo: query.to.replaceAll("-", ""),
    order: ORDER_VALUES[query.order],
  };
}
