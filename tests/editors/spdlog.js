// Takes the place of @vscode/spdlog, the compiled writer of log files, which is not compiled for the tests.
const fs = require("node:fs");
const path = require("node:path");

class Logger {
  constructor(_type, _name, file) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    this.file = file;
    this.isPlain = false;
  }

  write(level, message) {
    const time = new Date().toISOString().replace("T", " ").replace("Z", "");
    fs.appendFileSync(this.file, this.isPlain ? message : `${time} [${level}] ${message}\n`);
  }

  clearFormatters() {
    this.isPlain = true;
  }

  getLevel() {
    return 0;
  }

  setLevel() {}
  setPattern() {}
  flush() {}
  drop() {}
}

for (const level of ["trace", "debug", "info", "warn", "error", "critical"]) {
  Logger.prototype[level] = function (message) {
    this.write(level === "warn" ? "warning" : level, message);
  };
}

const create = async (name, file) => new Logger("rotating", name, file);

// One by one: these names are all that VS Code's import of this module sees.
exports.Logger = Logger;
exports.setLevel = () => {};
exports.setFlushOn = () => {};
exports.createRotatingLogger = create;
exports.createAsyncRotatingLogger = create;
