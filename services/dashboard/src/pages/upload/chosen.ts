// What a person chose or dropped, as what goes up together.
import { type Named, sorted } from "./zip-blob";

export interface Parcel {
  /** What to call it here; never sent. */
  readonly title: string;
  readonly files: readonly Named[];
  /** Whether it goes up as it is; otherwise as one archive. */
  readonly alone: boolean;
  /** Tells it from others after a reload. */
  readonly key: string;
}

const ZIP = /\.zip$/i;

/** Each zip file by itself, one file by itself, all else together. */
export function parcelsOf(files: readonly Named[]): readonly Parcel[] {
  const zips = files.filter((one) => ZIP.test(one.name));
  const rest = sorted(files.filter((one) => !ZIP.test(one.name)));
  const alone = [...zips, ...(rest.length === 1 ? rest : [])].map((one) => parcel([one], true));
  return rest.length > 1 ? [...alone, parcel(rest, false)] : alone;
}

export function namedFiles(list: FileList): readonly Named[] {
  return [...list].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
}

/** Files of a drop, those in folders too. */
export async function droppedFiles(items: DataTransferItemList): Promise<readonly Named[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: Named[] = [];
  for (const entry of entries) await gather(entry, found);
  return found;
}

async function gather(entry: FileSystemEntry, found: Named[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ name: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives a hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await gather(one, found);
  }
}

function parcel(files: readonly Named[], alone: boolean): Parcel {
  const first = files[0]!.name;
  const folder = first.split("/")[0] ?? first;
  const together = files.every(({ name }) => name.startsWith(`${folder}/`));
  const about = files.map(({ name, file }) => `${name} ${file.size} ${file instanceof File ? file.lastModified : 0}`);
  return { title: alone ? first : together ? folder : "", files, alone, key: hash(about.join("\n")) };
}

/** 53 bits of a text: names of files may be names of patients, and stay in no storage. */
function hash(text: string): string {
  let one = 0xdeadbeef;
  let other = 0x41c6ce57;
  for (let nth = 0; nth < text.length; nth += 1) {
    const code = text.charCodeAt(nth);
    one = Math.imul(one ^ code, 2654435761);
    other = Math.imul(other ^ code, 1597334677);
  }
  one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(other ^ (other >>> 13), 3266489909);
  other = Math.imul(other ^ (other >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
  return (4294967296 * (2097151 & other) + (one >>> 0)).toString(36);
}
