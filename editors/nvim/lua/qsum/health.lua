local config = require('qsum.config')

local M = {}

local health = vim.health
local start = health.start or health.report_start
local ok = health.ok or health.report_ok
local warn = health.warn or health.report_warn
local err = health.error or health.report_error
local info = health.info or health.report_info

local function version_of(program)
  local printed = vim.fn.system({ program, '--version' })
  return vim.v.shell_error == 0 and vim.trim(printed) or nil
end

function M.check()
  start('qsum: program')
  local program = config.options.cmd[1]
  if vim.fn.executable(program) == 0 then
    err('`' .. program .. '` is not executable', { 'Run: pip install qsum-lsp', "Or set `cmd` in require('qsum').setup()" })
  else
    local version = version_of(program)
    if version then
      ok(version .. ' (' .. vim.fn.exepath(program) .. ')')
    else
      err('`' .. program .. ' --version` fails', { 'Run it in a terminal to see why' })
    end
  end

  start('qsum: server')
  local client = require('qsum.client').of(nil)
  if not client then
    warn('not running', { "Open a Markdown file; call vim.lsp.enable('qsum') or require('qsum').setup() in your init.lua" })
    return
  end
  ok('running, attached to ' .. vim.tbl_count(client.attached_buffers or {}) .. ' buffers')
  local text = require('qsum.status').text()
  if text ~= '' then
    info(text)
  end
end

return M
