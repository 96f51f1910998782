// Portuguese.
import type { Key } from "./en";

export const pt: Readonly<Record<Key, string>> = {
  "nav.worklist": "Estudos",
  "nav.status": "Situação",
  "nav.settings": "Configurações",
  "footer.claim": "Não é um dispositivo médico. Preliminar.",
};
