local config = require('qsum.config')

local M = {}

--- Optional: change the defaults and start the server for Markdown buffers.
---@param options qsum.Options?
function M.setup(options)
  config.options = vim.tbl_deep_extend('force', config.options, options or {})
  if vim.lsp.config then
    vim.lsp.config('qsum', config.client())
    vim.lsp.enable('qsum')
  else
    require('qsum.start').on_filetype()
  end
end

--- For a statusline: the model and what it does, or nothing where no server is attached.
---@return string
function M.statusline()
  return require('qsum.status').text()
end

return M
