/** How deeply a JSON text is nested, found before anything is made of it. */
import { endOfString } from "./duplicates.ts";

/** Whether more than `most` objects and arrays are open at once anywhere in the text; brackets within strings do not count. */
export function isNestedDeeper(text: string, most: number): boolean {
  // Mostly there are not that many in all, which a search tells in a tenth of the time.
  if (count(text, "{", most) + count(text, "[", most) <= most) return false;
  let open = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34 /* " */) {
      at = endOfString(text, at + 1);
      if (at < 0) return false;
    } else if (code === 123 || code === 91 /* { [ */) {
      if ((open += 1) > most) return true;
    } else if (code === 125 || code === 93 /* } ] */) open -= 1;
  }
  return false;
}

/** How often it stands there; of very many, more than `most`. */
function count(text: string, bracket: string, most: number): number {
  let found = 0;
  for (let at = text.indexOf(bracket); at >= 0 && found <= most; at = text.indexOf(bracket, at + 1)) found += 1;
  return found;
}
