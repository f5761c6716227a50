// What is loaded when the server is started, and not before: a bundle of its own, so that the extension is
// activated without reading it.
export {
  CloseAction,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  State,
} from "vscode-languageclient/node";
export { runWithProgress } from "./commandProgress";
