# A member of a Galera cluster, in MariaDB's own image: who it is, whether it begins a cluster or joins one, how it is.
#
# Called `bash galera.sh run|position|ready|lives` (`stacks/mariadb.py`). Nothing remembers who began the cluster. A member that comes up alone
# waits, tells the others its position, and asks for theirs. If one of them is in a primary component, it joins. Only if every declared member
# answers that it waits too, one begins: whoever has the latest transaction, of equals the first. Before that it raises its hand and hears all of
# them twice more: of two that raised theirs one sees the other's, and between two rounds of the same answers all of them waited at one moment,
# so nobody ran whom they could have joined since. A hand is down again only in a process that has begun nothing.
set -u
umask 077
config=/etc/service secrets=/etc/service-secrets own=/run/service data=/var/lib/mysql
database=$data/database port=4566 nothing=00000000-0000-0000-0000-000000000000
server=(mariadbd --defaults-file="$own/my.cnf" --datadir="$database")
status="SET SESSION wsrep_sync_wait = 0; SHOW GLOBAL STATUS LIKE 'wsrep%'"
declare -A said=()

say() { printf '%s\n' "galera: $*" >&2; }

# --- what it makes of its secrets

# The key of all members is made of a secret that they share, so that whoever has not got it can neither join, nor ask, nor be sent the data.
certify() {
  local key
  key=302e020100300506032b657004220420$(sha256sum < "$secrets/cluster" | cut -c1-64) # an Ed25519 key in PKCS #8
  printf "$(sed 's/../\\x&/g' <<< "$key")" | openssl pkey -inform DER -out "$own/key.pem" &&
    openssl req -x509 -new -key "$own/key.pem" -subj /CN=members -days 36500 -out "$own/ca.pem" &&
    openssl req -new -key "$own/key.pem" -subj /CN=member -out "$own/request.pem" &&
    openssl x509 -req -in "$own/request.pem" -CA "$own/ca.pem" -CAkey "$own/key.pem" -set_serial 2 -days 36500 -out "$own/cert.pem" 2> "$own/openssl" ||
    { cat "$own/openssl" >&2; return 1; }
}

# What differs from member to member, beside the configuration that all share.
configure() {
  local tls="socket.ssl_key=$own/key.pem;socket.ssl_cert=$own/cert.pem;socket.ssl_ca=$own/ca.pem"
  cat "$config/my.cnf" - > "$own/my.cnf" << END
[mysqld]
bind_address=$listen
wsrep_cluster_address=gcomm://$(cut -d' ' -f2 "$config/members" | paste -sd,)
wsrep_node_name=$MEMBER
wsrep_node_address=$FQDN
wsrep_provider_options="$(< "$config/provider");gmcast.listen_addr=ssl://$listen:4567;ist.recv_bind=$listen:4568;$tls"
wsrep_sst_auth=sst:$(< "$secrets/sst")
[sst]
sockopt=,bind=$listen
END
}

# --- its position

# A database has its system tables; what has not is what somebody left who was killed before his first copy of the data had come.
whole() { [[ -d $database/mysql ]]; }

# `none` without data, `broken` where a copy has not ended or Galera has given the data up, else the latest transaction.
recovered() {
  local uuid seqno found
  uuid=$(sed -n 's/^uuid: *//p' "$database/grastate.dat" 2> /dev/null)
  seqno=$(sed -n 's/^seqno: *//p' "$database/grastate.dat" 2> /dev/null)
  [[ $uuid != "$nothing" ]] || { echo broken; return; }
  whole || { echo none; return; }
  if [[ ! $uuid || ! $seqno || $seqno == -* ]]; then # it did not stop, it was stopped: InnoDB knows
    found=$("${server[@]}" --wsrep-recover --skip-networking 2>&1) && found=$(grep -o 'Recovered position: *[0-9a-f-]*:[0-9-]*' <<< "$found") ||
      { tail -5 <<< "$found" >&2; say "its position cannot be read"; return 1; }
    uuid=${found##* } seqno=${uuid#*:} uuid=${uuid%%:*}
  fi
  [[ $uuid == "$nothing" ]] && echo none || echo "$uuid:$seqno" # nothing, where its first transaction was still to come
}

# --- what it says to the others, and they to it

state() { printf '%s\n' "$*" > "$own/state.new" && mv "$own/state.new" "$own/state"; }

position() {
  local waits uuid
  waits=$(< "$own/state")
  [[ $waits == running ]] || { echo "$waits"; return; }
  uuid=$(status wsrep_cluster_status wsrep_cluster_state_uuid) || uuid=
  [[ $uuid == Primary* ]] && echo "primary ${uuid#* }" || echo running
}

tls() { echo "cert=$own/cert.pem,key=$own/key.pem,cafile=$own/ca.pem,verify=1"; }

answering() {
  while :; do
    socat -U "OPENSSL-LISTEN:$port,bind=$listen,reuseaddr,fork,max-children=50,$(tls)" "EXEC:bash $config/galera.sh position" 2> "$own/socat"
    sleep 1
  done
}

ask() { timeout 5 socat -u "OPENSSL:$1:$port,connect-timeout=2,no-sni=1,commonname=,$(tls)" STDOUT 2> /dev/null < /dev/null; }

hear() {
  local name fqdn asked=()
  said=()
  while read -r name fqdn; do
    [[ $name != "$MEMBER" ]] || continue
    ask "$fqdn" > "$own/said-$name" &
    asked+=($!)
    said[$name]=
  done < "$config/members"
  ((${#asked[@]})) && wait "${asked[@]}"
  for name in "${!said[@]}"; do said[$name]=$(< "$own/said-$name"); done
}

everything() { for name in $(cut -d' ' -f1 "$config/members"); do echo "$name: ${said[$name]-}"; done; }

# --- what follows from it

# `join`, `begin`, or what it waits for. An answer is `primary UUID`, `running` or `waiting PROCESS HAND POSITION`.
verdict() {
  local mine=$1 name answer process hand where best='' latest='' history='' broken='' waits=''
  for name in $(cut -d' ' -f1 "$config/members"); do
    [[ ${said[$name]-} == primary\ * ]] || continue
    [[ $mine != *:* || ${said[$name]#* } == "${mine%%:*}" ]] && echo join ||
      echo "its volume holds another cluster's data (${mine%%:*}) than $name has (${said[$name]#* }): remove one of them"
    return
  done
  for name in $(cut -d' ' -f1 "$config/members"); do
    answer=${said[$name]-} hand=down where=$mine
    if [[ $name != "$MEMBER" ]]; then
      read -r waits process hand where <<< "$answer"
      case $waits in
        waiting) ;;
        running) echo "$name is in a primary component"; return ;;
        *) echo "$name answers: only together they know whose data is the latest"; return ;;
      esac
    fi
    [[ $hand == down ]] || { echo "$name has begun"; return; }
    case $where in
      broken) broken=$name ;;
      none) [[ $best ]] || best=$name ;;
      *)
        [[ ! $history || $history == "${where%%:*}" ]] || { echo "all members hold one cluster's data: $name has another than the others"; return; }
        history=${where%%:*}
        [[ $latest ]] && ((${where#*:} <= latest)) || { best=$name latest=${where#*:}; }
        ;;
    esac
  done
  if [[ $broken && ! $latest ]]; then
    echo "somebody has data: that of $broken is incomplete, and nobody else has any"
  elif [[ $best == "$MEMBER" ]]; then
    echo begin
  else
    echo "$best begins"
  fi
}

# Whether nobody else is about to join: who copies what it missed from one that has just done so may find something lacking there.
in_turn() {
  local name earlier=yes
  for name in $(cut -d' ' -f1 "$config/members"); do
    [[ $name != "$MEMBER" ]] || { earlier=''; continue; }
    case ${said[$name]-} in
      running) return 1 ;;
      waiting*) [[ ! $earlier ]] || return 1 ;;
    esac
  done
}

decide() {
  local mine=$1 process=$2 next told='' first patience=10
  while :; do
    state "waiting $process down $mine"
    hear
    next=$(verdict "$mine")
    if [[ $next == begin ]]; then
      state "waiting $process raised $mine"
      hear; first=$(everything); next=$(verdict "$mine")
      [[ $next != begin ]] || { hear; next=$(verdict "$mine"); }
      [[ $next != begin || $first == "$(everything)" ]] || next="all members wait"
    fi
    [[ $next != join ]] || in_turn || ((patience-- == 0)) || next="others have joined"
    case $next in begin | join) state running; doing=$next; return ;; esac
    [[ $next == "$told" ]] || { say "waits until $next"; echo "waits until $next" > "$own/until"; }
    told=$next
    sleep "1.$((RANDOM % 10))"
  done
}

# --- its server

sql() { MYSQL_PWD=$(< "$secrets/monitor") timeout 4 mariadb --no-defaults -S "$own/mariadb.sock" -u monitor -BN -e "$status" 2>&1; }

# The values of status variables, in the order asked for.
status() {
  local found name values=()
  found=$(sql) || { echo "${found:0:200}"; return 1; }
  for name in "$@"; do values+=("$(sed -n "s/^$name\t//p" <<< "$found")"); done
  echo "${values[*]}"
}

quoted() { sed "s/['\\\\]/\\\\&/g; 1s/^/'/; \$s/\$/'/" "$1"; }

# A server that nobody can reach, which ends with what it is told.
closed() { mariadbd --defaults-file="$own/my.cnf" --datadir="$1" --wsrep-on=OFF --bootstrap; }

nobody() {
  cat << END
SET sql_mode = '';
FLUSH PRIVILEGES;
DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';
DELETE FROM mysql.proxies_priv;
END
}

users() {
  cat << END
SET sql_mode = '';
FLUSH PRIVILEGES;
CREATE OR REPLACE USER 'root'@'%' IDENTIFIED BY $(quoted "$secrets/root");
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
CREATE OR REPLACE USER 'monitor'@'localhost' IDENTIFIED BY $(quoted "$secrets/monitor");
CREATE OR REPLACE USER 'sst'@'localhost' IDENTIFIED BY $(quoted "$secrets/sst");
GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, REPLICA MONITOR ON *.* TO 'sst'@'localhost';
END
}

# A folder is the database once it is whole: with its users, who all have passwords.
found() {
  rm -rf "$data/begun" "$data/left" && mkdir "$data/begun" && { [[ ! -d $database ]] || mv "$database" "$data/left"; } &&
    mariadb-install-db --defaults-file="$own/my.cnf" --datadir="$data/begun" --skip-test-db --auth-root-authentication-method=normal \
      --wsrep-on=OFF > "$own/installed" 2>&1 &&
    { nobody; users; } | closed "$data/begun" > "$own/installed" 2>&1 &&
    sync -f "$data" && mv "$data/begun" "$database" || { tail -20 "$own/installed" >&2; return 1; }
}

# A volume says whose passwords its database has. One that was made from another service's snapshot has that one's: each member sets its own
# anew, before anybody can reach it or hears of its position, which that does not change. An incomplete copy is not touched: whoever has one is
# sent all of it. The application's users stay as they were.
claim() {
  [[ $(cat "$data/service" 2> /dev/null) != "${MEMBER%-*}" ]] || return 0
  if whole && [[ $1 != broken ]]; then
    say "root, monitor and sst get the passwords of this service"
    users | closed "$database" > "$own/claimed" 2>&1 || { tail -20 "$own/claimed" >&2; return 1; }
  fi
  sync -f "$data" && echo "${MEMBER%-*}" > "$data/service.new" && mv "$data/service.new" "$data/service"
}

# Every position is known by now, which is what Galera's own guard asks for.
begin() {
  whole || found || { say "a database cannot be made"; exit 1; }
  if [[ $1 == *:* ]]; then
    printf '# GALERA saved state\nversion: 2.1\nuuid:    %s\nseqno:   %s\nsafe_to_bootstrap: 1\n' "${1%%:*}" "${1#*:}" > "$data/grastate" &&
      mv "$data/grastate" "$database/grastate.dat" || exit 1
  else
    rm -f "$database/grastate.dat"
  fi
  say "begins the cluster at $1"
}

# What a later server lacks of the system's tables is added on each member by itself: `mariadb-upgrade` switches replication off for its session,
# and notes beside the database for which version it was. A copy of another member's data has no such note, so it is upgraded once.
upgrade() {
  local noted
  noted=$(cat "$database"/*_upgrade_info 2> /dev/null)
  if [[ ! $noted || $(mariadbd --version) != *" Ver $noted"* ]]; then
    until [[ $(status wsrep_local_state_comment) == Synced ]]; do sleep 1; done
    until MYSQL_PWD=$(< "$secrets/root") mariadb-upgrade --no-defaults -S "$own/mariadb.sock" -u root > "$own/upgrade" 2>&1; do
      say "cannot upgrade the system's tables: $(tail -2 "$own/upgrade")"
      sleep 5
    done
  fi
  touch "$own/upgraded"
}

run() {
  local mine doing='' process=$$-$RANDOM$RANDOM listen child code=0
  trap 'exit 143' TERM INT
  listen=$(getent ahostsv4 "$LISTEN" | { read -r address _; echo "$address"; })
  certify && configure && mine=$(recovered) && claim "$mine" || exit 1
  answering &
  decide "$mine" "$process"
  [[ $doing == join ]] && say "joins with its position $mine" || begin "$mine"
  mkdir -p "$database"
  rm -f "$own/upgraded"
  "${server[@]}" $([[ $mine == *:* ]] && echo "--wsrep-start-position=$mine") $([[ $doing == begin ]] && echo --wsrep-new-cluster) &
  child=$!
  upgrade &
  trap 'kill -TERM $child' TERM INT
  while kill -0 "$child" 2> /dev/null; do wait "$child"; code=$?; done
  exit "$code"
}

# --- how it is

ready() {
  local found
  [[ $(< "$own/state") == running ]] || { cat "$own/until" >&2; return 1; }
  found=$(status wsrep_ready wsrep_cluster_status wsrep_local_state_comment) && [[ $found == "ON Primary Synced" ]] ||
    { echo "$found" >&2; return 1; }
  [[ -e $own/upgraded ]] || { echo "its system's tables are upgraded to this version" >&2; return 1; }
}

# One that has lost its primary component starts anew, and waits with the others: what it knows alone nobody can go on with. While it
# says nothing it may be copying the data, for hours.
lives() {
  local found
  found=$(status wsrep_cluster_status) || return 0
  [[ $found == Primary ]] || { echo "in no primary component: $found" >&2; return 1; }
}

# --- how all are, asked from outside; in a Job, which has the secrets and nothing of a member's own

asked() { timeout 5 mariadb --no-defaults --connect-timeout=3 -h "$@" -BN -e "$status" 2>&1 < /dev/null; }

# `refused`, `let in`, or `silent`: whoever has no password, and, at the port of the group, whoever has no certificate.
stranger() {
  local found how=refused
  for user in root nobody ''; do
    found=$(asked "$1" -u "$user") && { echo "let in"; return; }
    [[ $found == *"ERROR 1045"* || $found == *"ERROR 1698"* ]] || how=silent
  done
  sleep 1 | timeout 5 openssl s_client -connect "$1:4567" 2>&1 | grep -q alert || how=silent
  echo "$how"
}

one() {
  local found login=in
  found=$(MYSQL_PWD=$(< "$secrets/root") asked "$2" -u root) || { [[ $found == *"ERROR 1045"* ]] && login=wrong || login=silent; }
  value() { sed -n "s/^$1\t//p" <<< "$found"; }
  [[ $login == in ]] || { printf '"%s": {"login": "%s"}' "$1" "$login"; return; }
  printf '"%s": {"login": "in", "stranger": "%s", "component": "%s", "state": "%s", "cluster": "%s", "size": %d}' "$1" "$(stranger "$2")" \
    "$(value wsrep_cluster_status)" "$(value wsrep_local_state_comment)" "$(value wsrep_cluster_state_uuid)" "$(value wsrep_cluster_size)"
}

# --- passwords that give way to those of the next generation: an account takes either from `give` on, and the next alone from `retire` on

account() { [[ $1 == root ]] && echo "'root'@'%'" || echo "'$1'@'localhost'"; }

# What MariaDB keeps of a password: so it is in no statement, and no log of statements.
hashed() { printf '*%s' "$(printf %s "$(< "$1")" | openssl sha1 -binary | openssl sha1 | sed 's/.* //' | tr a-f A-F)"; }

# As root, by whichever of the two passwords gets in.
entering() {
  local file found
  for file in root former-root; do
    [[ -s $secrets/$file ]] || continue
    found=$(MYSQL_PWD=$(< "$secrets/$file") timeout 20 mariadb --no-defaults --connect-timeout=3 -h "$1" -u root -BN <<< "$2" 2>&1) &&
      { echo "$found"; return; }
    [[ $found == *"ERROR 1045"* ]] || break
  done
  echo "$found" >&2
  return 1
}

# `former`, `both` or `next`: what the accounts of a host take; `silent` where nobody says.
taken() {
  local user found told how=next asks='SET SESSION wsrep_sync_wait = 0;'
  for user in $rotated; do asks+="SHOW CREATE USER $(account "$user");"; done
  found=$(entering "$1" "$asks" 2> /dev/null) || { echo silent; return; }
  for user in $rotated; do
    told=$(grep -F "\`$user\`@" <<< "$found")
    [[ $told == *"$(hashed "$secrets/$user")"* ]] || { echo former; return; }
    [[ $told != *" OR "* ]] || how=both
  done
  echo "$how"
}

# Called with the hosts: the first that can change accounts does, for all.
change() {
  local statements=$1 host
  shift
  for host; do entering "$host" "$statements" && return; done
  say "no member changes its accounts"
  return 1
}

by() { echo "ALTER USER $(account "$1") IDENTIFIED VIA mysql_native_password USING '$(hashed "$secrets/$1")'"; }

give() {
  local user statements=''
  for user in $rotated; do
    [[ -s $secrets/former-$user ]] || { say "there is no former password of $user"; return 1; }
    statements+="$(by "$user") OR mysql_native_password USING '$(hashed "$secrets/former-$user")';"
  done
  change "$statements" "$@"
}

retire() {
  local user statements=''
  for user in $rotated; do statements+="$(by "$user");"; done
  change "$statements" "$@"
}

# Called with the name and the host of each member, as `look` is.
keys() {
  local found=''
  while (($#)); do
    found+="${found:+, }\"$1\": \"$(taken "$2")\""
    shift 2
  done
  echo "{\"taken\": {$found}}"
}

# Called with the name and the host of each member; of the passwords that are to give way in `rotated`.
look() {
  local folder keys=''
  [[ ! ${rotated-} ]] || keys=", $(keys "$@" | sed 's/^{//; s/}$//')"
  folder=$(mktemp -d)
  while (($#)); do
    one "$1" "$2" > "$folder/$1" &
    shift 2
  done
  wait
  printf '{"members": {%s}%s}\n' "$(for told in "$folder"/*; do cat "$told"; echo; done | paste -sd,)" "$keys"
  rm -r "$folder"
}

"$@"
