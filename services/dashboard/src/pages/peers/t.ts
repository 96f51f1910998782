// Texts of this page, in a bundle of their own.
import { peersEn, type PeersKey } from "../../i18n/peers.en";
import { peersPt } from "../../i18n/peers.pt";
import { translator } from "../../i18n/translate.svelte";

export const t = translator<PeersKey>({ en: peersEn, pt: peersPt });
