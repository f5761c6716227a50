import { homedir } from "node:os";
import * as vscode from "vscode";
import { reason } from "./processes";
import type { Server } from "./server";
import { chosenSettings } from "./settings";

/** What a bug report needs, as Markdown. It names the user's settings, never the text of a page or a key. */
export async function debugInformation(
  server: Server,
  extension: vscode.Extension<unknown>,
): Promise<string> {
  const { state } = server;
  const lines = [
    `- extension: ${extension.packageJSON.version}`,
    `- ${vscode.env.appName} ${vscode.version}, ${process.platform} ${process.arch}`,
    `- workspace: ${vscode.workspace.isTrusted ? "trusted" : "restricted"}`,
    `- server: ${state.kind}${"message" in state ? `: ${state.message}` : ""}`,
  ];
  if (state.kind === "running") {
    const { command, args, origin, version } = state.server;
    lines.push(`- qsum ${version} from ${origin}: \`${[command, ...args].join(" ")}\``);
    lines.push("", "```json", JSON.stringify(await status(server), undefined, 2), "```");
  }
  lines.push("", "```json", JSON.stringify({ settings: chosenSettings(extension) }, undefined, 2), "```", "");
  return lines.join("\n").replaceAll(homedir(), "~");
}

async function status(server: Server): Promise<unknown> {
  try {
    return await server.request("workspace/executeCommand", { command: "qsum.status", arguments: [] });
  } catch (error) {
    return { error: reason(error) };
  }
}
