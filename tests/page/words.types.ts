// The class of exported models has the types that the documentation gives.
import type { Words as Documented } from "../../docs/examples/words.d.ts";
import { Words } from "../../src/moreish/export/page/words.js";

export const documented: Documented = new Words({} as any, "");
