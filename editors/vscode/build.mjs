// Bundles the extension, and puts the server's wheel beside it: `node build.mjs [--wheel]`.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

await build({
  entryPoints: ["src/extension.ts", "src/languageClient.ts"],
  outdir: "dist",
  bundle: true,
  minify: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: ["vscode", "./languageClient"],
  // VS Code knows "vscode" where it is required, not where it is imported.
  supported: { "dynamic-import": false },
  legalComments: "linked",
});

if (process.argv.includes("--wheel")) {
  rmSync("server", { recursive: true, force: true });
  mkdirSync("server");
  const python = process.env.PYTHON ?? "python3";
  execFileSync(python, ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "server", "../.."], {
    stdio: "inherit",
  });
  const wheels = readdirSync("server");
  if (wheels.length !== 1 || !wheels[0].endsWith("-py3-none-any.whl")) {
    throw new Error(`expected one pure-Python wheel in server/, found: ${wheels.join(", ")}`);
  }
}
