from natal.errors import NatalError as NatalError
from natal.models import ClusterModel as ClusterModel
from natal.models import Integration as Integration
from natal.simulator import simulate_clusters as simulate_clusters
from natal.trained import Answer as Answer
from natal.trained import TrainedCampaign as TrainedCampaign
from natal.trained import load_campaign as load_campaign
from natal.trained import load_emulator as load_emulator

__version__: str
