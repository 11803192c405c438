// node build.mjs SOURCE WIT OUTPUT: a component of the world `plugin` from a module of JavaScript.
//
// Nothing of WASI is asked for but what the engine itself needs: plugins have their own imports.

import { readFile, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [source, witPath, output] = process.argv.slice(2);
const { component } = await componentize(await readFile(source, "utf8"), {
  witPath,
  worldName: "plugin",
  disableFeatures: ["random", "stdio", "clocks", "http", "fetch-event"],
});
await writeFile(output, component);
