local M = {}

M.filetypes = { 'markdown', 'mdx', 'quarto', 'rmd' }
M.root_markers = { '.qsum.toml', 'pyproject.toml', '.git' }

---@class qsum.Options
---@field cmd string[] how to start the server
---@field settings table what stands under `qsum` in other editors' settings
---@field lenses boolean show and refresh the summaries over headings
M.options = {
  cmd = { 'qsum', 'lsp' },
  settings = {},
  lenses = true,
}

-- The language ids of the protocol, where they are not the file type.
local LANGUAGES = { rmd = 'rmarkdown' }

--- What `vim.lsp.config` and `vim.lsp.start` take.
function M.client()
  -- An empty Lua table would be sent as a list.
  local settings = next(M.options.settings) and M.options.settings or vim.empty_dict()
  return {
    name = 'qsum',
    cmd = M.options.cmd,
    filetypes = M.filetypes,
    root_markers = M.root_markers,
    settings = { qsum = settings },
    init_options = { settings = settings, statusNotifications = true, summaryNotifications = true },
    get_language_id = function(_, filetype)
      return LANGUAGES[filetype] or filetype
    end,
    handlers = {
      ['qsum/status'] = function(_, status)
        require('qsum.status').changed(status)
      end,
      ['qsum/summariesChanged'] = function(_, params)
        require('qsum.outline').summaries_changed(params.uri)
        require('qsum.lenses').summaries_changed(params.uri)
      end,
    },
  }
end

return M
