-- Starting the server in Neovim 0.8 to 0.10, which have no `vim.lsp.enable`.
local config = require('qsum.config')

local M = {}

local function root_of(buffer)
  local found = vim.fs.find(config.root_markers, { upward = true, path = vim.fs.dirname(vim.api.nvim_buf_get_name(buffer)) })
  return found[1] and vim.fs.dirname(found[1]) or nil
end

local function start(buffer)
  local client = config.client()
  client.root_dir = root_of(buffer)
  client.filetypes = nil
  client.root_markers = nil
  vim.lsp.start(client, { bufnr = buffer })
end

function M.on_filetype()
  vim.api.nvim_create_autocmd('FileType', {
    group = vim.api.nvim_create_augroup('qsum.start', {}),
    pattern = config.filetypes,
    callback = function(event)
      start(event.buf)
    end,
  })
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buffer) and vim.tbl_contains(config.filetypes, vim.bo[buffer].filetype) then
      start(buffer)
    end
  end
end

return M
