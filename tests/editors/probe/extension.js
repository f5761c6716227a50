// Runs what a test asks for inside of the extension host: a file of JavaScript in, a file of JSON out.
const fs = require("node:fs");
const path = require("node:path");
const vscode = require("vscode");

exports.activate = () => {
  const folder = process.env.QSUM_TEST_PROBE;
  fs.writeFileSync(path.join(folder, "ready.part"), String(process.pid));
  fs.renameSync(path.join(folder, "ready.part"), path.join(folder, "ready"));
  setInterval(async () => {
    for (const name of fs.readdirSync(folder).filter((file) => file.endsWith(".js"))) {
      const file = path.join(folder, name);
      const code = fs.readFileSync(file, "utf8");
      fs.unlinkSync(file);
      let answer;
      try {
        answer = { value: await new Function("vscode", `return (async () => {${code}})()`)(vscode) };
      } catch (error) {
        answer = { error: String(error?.stack ?? error) };
      }
      fs.writeFileSync(`${file}.part`, JSON.stringify(answer));
      fs.renameSync(`${file}.part`, file.replace(/js$/, "json"));
    }
  }, 20);
};
